# Standard error of the difference at the last visit and of the mean difference of the last two,
# at a known covariance: nlme::gls with fixed correlations and variance ratios, on a full data set
# that has the expected number of subjects with each pattern of visits.
library(nlme)
cases <- read.csv("input.csv", stringsAsFactors = FALSE)
numbers <- function(text) as.numeric(strsplit(text, " ")[[1]])
arm_rows <- function(retention, n, arm, first) {
  last <- rep(seq_along(retention), round(n * (retention - c(retention[-1], 0))))
  do.call(rbind, lapply(seq_along(last), function(i) {
    data.frame(id = first + i, visit = seq_len(last[i]), arm = arm)
  }))
}
out <- list()
for (row in seq_len(nrow(cases))) {
  s <- cases[row, ]
  sd <- numbers(s$sd)
  m <- length(sd)
  data <- rbind(
    arm_rows(numbers(s$retention_reference), s$n_reference, "reference", 0),
    arm_rows(numbers(s$retention_treated), s$n_treated, "treated", 10000)
  )
  data$cell <- interaction(data$arm, data$visit)
  data$factor_visit <- factor(data$visit)
  set.seed(row)
  data$y <- rnorm(nrow(data))
  ratios <- setNames(sd[-1] / sd[1], 2:m)
  fit <- gls(y ~ 0 + cell, data,
             correlation = corSymm(numbers(s$correlation), form = ~ visit | id, fixed = TRUE),
             weights = varIdent(form = ~ 1 | factor_visit, fixed = ratios))
  covariance <- fit$varBeta / fit$sigma^2 * sd[1]^2
  names <- sub("cell", "", names(coef(fit)))
  at <- function(weights) {
    L <- setNames(rep(0, length(names)), names)
    L[paste0("treated.", seq_len(m))] <- weights
    L[paste0("reference.", seq_len(m))] <- -weights
    sqrt(drop(L %*% covariance %*% L))
  }
  out[[length(out) + 1]] <- data.frame(
    quantity = c("std_error_last", "std_error_two"), term = s$scenario,
    value = format(c(at(c(rep(0, m - 1), 1)), at(c(rep(0, m - 2), 0.5, 0.5))), digits = 15),
    rtol = 1e-8, why = "linear algebra at a known covariance"
  )
}
write.csv(do.call(rbind, out), "expected.csv", row.names = FALSE)
