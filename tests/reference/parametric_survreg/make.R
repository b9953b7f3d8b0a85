# Rscript make.R, in the folder of this case; writes expected.csv
library(survival)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- survreg.control(rel.tolerance = 1e-15, maxiter = 200)
same <- "same likelihood, both maximised to machine precision"
terms <- c("age_years", "active", "Intercept", "log(scale)")
d$low <- ifelse(d$lower == 0, NA, d$lower)   # interval2: NA is left-censored
for (dist in c("weibull", "exponential", "lognormal", "loglogistic")) {
  fits <- list(
    right = survreg(Surv(duration, event) ~ age_years + active, d, dist = dist, control = tight),
    interval = survreg(Surv(low, upper, type = "interval2") ~ age_years + active, d, dist = dist,
                       control = tight))
  for (name in names(fits)) {
    fit <- fits[[name]]
    n <- length(fit$coefficients)
    estimate <- c(coef(fit)[2:3], coef(fit)[1], log(fit$scale))
    v <- sqrt(diag(vcov(fit)))
    std <- c(v[2:3], v[1], if (dist == "exponential") NULL else v[n + 1])
    key <- paste(name, dist, sep = ".")
    keep <- seq_along(std)
    put(paste0(key, ".estimate"), terms[keep], estimate[keep], 1e-6, same)
    put(paste0(key, ".std_error"), terms[keep], std, 1e-5, same)
    put(paste0(key, ".log_likelihood"), "model", fit$loglik[2], 1e-9, same)
    p <- predict(fit, data.frame(age_years = 50, active = 1), type = "quantile",
                 p = c(0.25, 0.5), se.fit = FALSE)
    put(paste0(key, ".quantile"), c("0.25", "0.5"), as.vector(p), 1e-6, "predict.survreg")
  }
}
robust <- survreg(Surv(duration, event) ~ age_years + active + cluster(subject_id), d,
                  dist = "weibull", control = tight)
v <- sqrt(diag(vcov(robust)))
put("robust.weibull.std_error", terms, v[c(2, 3, 1, 4)], 1e-5, "sandwich of survreg")
write.csv(out, "expected.csv", row.names = FALSE)
