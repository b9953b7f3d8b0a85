# Exponential early effect in the treated arm, tau estimated: nlme, by maximum likelihood.
suppressMessages(library(nlme)); options(digits = 17)
if (!file.exists("input.csv")) {
  set.seed(2014)
  n <- 60; t <- c(0, 0.1, 0.25, 0.5, 1, 1.5, 2); id <- rep(seq_len(n), each = length(t)); year <- rep(t, n)
  treated <- as.numeric(id %% 2 == 0)
  y <- 1500 - 8 * year + 3 * year * treated - 6 * treated * (1 - exp(-year / 0.3)) +
    rnorm(n, 0, 30)[id] + rnorm(n, 0, 3)[id] * year + rnorm(length(id), 0, 1.5)
  d <- data.frame(subject_id = id, year, arm = ifelse(treated == 1, "active", "placebo"), brain_ml = round(y, 3))
  d <- d[runif(nrow(d)) > 0.08 | d$year == 0, ]
  write.csv(d, "input.csv", row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv"); d$treated <- as.numeric(d$arm == "active")
fit <- nlme(brain_ml ~ a + s * year + delta * treated * (1 - exp(-year / exp(logtau))), d,
            fixed = list(a ~ treated, s ~ treated, delta ~ 1, logtau ~ 1), random = a + s ~ 1 | subject_id,
            start = c(1500, 0, -8, 3, -6, log(0.3)), method = "ML",
            control = nlmeControl(tolerance = 1e-9, pnlsTol = 1e-5, msMaxIter = 500, maxIter = 500, msTol = 1e-12))
b <- fixef(fit); se <- sqrt(diag(fit$varFix)); print(b)
WHY <- "nlme alternates between penalised least squares and the linear mixed model; exact here, because tau does not vary between subjects"
row <- function(quantity, term, value, rtol) data.frame(quantity, term, value = sprintf("%.15g", value), rtol, why = WHY)
write.csv(rbind(
  row("estimate", "slope | placebo", b["s.(Intercept)"], 1e-4), row("estimate", "slope | active - placebo", b["s.treated"], 1e-4),
  row("estimate", "early effect | active", b["delta"], 1e-4), row("tau", "tau", exp(b["logtau"]), 1e-4),
  row("std_error", "slope | placebo", se["s.(Intercept)"], 1e-3), row("std_error", "slope | active - placebo", se["s.treated"], 1e-3),
  row("std_error", "early effect | active", se["delta"], 1e-3),
  row("log_likelihood", "model", as.numeric(logLik(fit)), 1e-7)), "expected.csv", row.names = FALSE, quote = TRUE)
