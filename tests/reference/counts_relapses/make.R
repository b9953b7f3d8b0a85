# Negative binomial by MASS::glm.nb with an offset; robust errors by sandwich.
suppressMessages({library(MASS); library(sandwich)})
d <- read.csv("input.csv"); d$arm <- factor(d$arm, levels = c("placebo", "active"))
fit <- glm.nb(relapses ~ arm + prior_relapses + offset(log(years_observed)), data = d,
              control = glm.control(epsilon = 1e-14, maxit = 200))
name <- function(x) sub("(Intercept)", "Intercept", sub("armactive", "arm[T.active]", x), fixed = TRUE)
terms <- name(names(coef(fit)))
row <- function(quantity, value, rtol, why) data.frame(quantity, term = terms, value, rtol, why)
robust <- vcovCL(fit, cluster = ~subject_id, type = "HC0", cadjust = FALSE)
new <- data.frame(arm = c("placebo", "active"), prior_relapses = 1, years_observed = 1)
p <- predict(fit, new, type = "response")
out <- rbind(
  row("estimate", coef(fit), 1e-6, "same likelihood; alternating steps in glm.nb stop at 1e-7 or so"),
  row("std_error", sqrt(diag(vcov(fit))), 1e-6, "expected information at the estimated dispersion"),
  row("cr0", sqrt(diag(robust)), 1e-6, "sandwich of scores by subject, no small-sample factor"),
  data.frame(quantity = "rate", term = new$arm, value = p, rtol = 1e-6, why = "per year"),
  data.frame(quantity = "dispersion", term = "alpha", value = 1 / fit$theta, rtol = 1e-5, why = "flat direction of the likelihood"),
  data.frame(quantity = "theta_std_error", term = "theta", value = fit$SE.theta, rtol = 1e-4, why = "observed information of theta alone in glm.nb"),
  data.frame(quantity = "log_likelihood", term = "model", value = as.numeric(logLik(fit)), rtol = 1e-10, why = "flat at its maximum"))
write.csv(out, "expected.csv", row.names = FALSE)
