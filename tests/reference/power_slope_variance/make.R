# Standard error of a difference of slopes at known variances: lme4's own algebra on a full data
# set that has the expected number of subjects with each pattern of visits; power from R's
# noncentral t distribution on n - 2 degrees of freedom and from the normal one.
library(lme4)
cases <- read.csv("input.csv", stringsAsFactors = FALSE)
numbers <- function(text) as.numeric(strsplit(text, " ")[[1]])
arm_rows <- function(years, retention, n, arm, first) {
  last <- rep(seq_along(years), round(n * (retention - c(retention[-1], 0))))
  do.call(rbind, lapply(seq_along(last), function(i) {
    data.frame(id = first + i, year = years[seq_len(last[i])], arm = arm)
  }))
}
out <- list()
for (row in seq_len(nrow(cases))) {
  s <- cases[row, ]
  years <- numbers(s$years)
  data <- rbind(
    arm_rows(years, numbers(s$retention_reference), s$n_reference, 0, 0),
    arm_rows(years, numbers(s$retention_treated), s$n_treated, 1, 10000)
  )
  set.seed(row)
  data$y <- rnorm(nrow(data))
  fixed <- if (s$common_baseline == 1) "y ~ year + year:arm" else "y ~ year * arm"
  deviance <- lmer(as.formula(paste(fixed, "+ (year | id)")), data, devFunOnly = TRUE)
  psi <- matrix(c(s$intercept_sd^2, rep(s$correlation * s$intercept_sd * s$slope_sd, 2),
                  s$slope_sd^2), 2)
  relative <- psi / s$residual_sd^2
  L11 <- sqrt(relative[1, 1])
  L21 <- relative[2, 1] / L11
  deviance(c(L11, L21, sqrt(relative[2, 2] - L21^2)))
  RX <- environment(deviance)$pp$RX()
  covariance <- s$residual_sd^2 * solve(crossprod(RX))
  se <- sqrt(covariance[ncol(RX), ncol(RX)])
  z <- qnorm(0.975)
  df <- s$n_reference + s$n_treated - 2
  t <- qt(0.975, df)
  shift <- s$effect / se
  out[[length(out) + 1]] <- data.frame(
    quantity = c("std_error", "power_normal", "power_t"), term = s$scenario,
    value = format(c(se, pnorm(shift - z) + pnorm(-shift - z),
              pt(t, df, shift, lower.tail = FALSE) + pt(-t, df, shift)), digits = 15),
    rtol = c(1e-8, 1e-8, 1e-6),
    why = c("linear algebra at known variances", "normal distribution",
            "R's noncentral t is exact to about 1e-7")
  )
}
write.csv(do.call(rbind, out), "expected.csv", row.names = FALSE)
