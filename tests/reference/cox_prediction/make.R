# Rscript make.R, in the folder of this case; writes expected.csv
library(survival)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
terms <- c("age_years", "active")
new <- data.frame(age_years = c(40, 60), active = c(1, 0), sex = c("F", "M"))
exact <- "same likelihood, both maximised to machine precision"
one <- function(name, formula, centred = FALSE) {
  fit <- if (centred) coxph(formula, d, ties = "efron", control = tight, cluster = centre) else
    coxph(formula, d, ties = "efron", control = tight)
  put(paste0(name, ".estimate"), terms, coef(fit), 1e-7, exact)
  put(paste0(name, ".std_error"), terms, sqrt(diag(vcov(fit))), 1e-6, exact)
  put(paste0(name, ".log_likelihood"), "model", fit$loglik[2], 1e-10, exact)
  fit
}
predicted <- function(name, fit) {
  for (i in 1:2) {
    s <- summary(survfit(fit, new[i, ], conf.type = "log-log"), times = c(6, 20, 40))
    key <- paste(i - 1, s$time, sep = "@")
    put(paste0(name, ".survival"), key, as.vector(s$surv), 1e-6, "survfit.coxph, Efron")
    put(paste0(name, ".conf_low"), key, as.vector(s$lower), 1e-6, "survfit.coxph, log-log")
    put(paste0(name, ".conf_high"), key, as.vector(s$upper), 1e-6, "survfit.coxph, log-log")
  }
}
entry <- one("entry", Surv(entry, month, event) ~ age_years + active)
predicted("entry", entry)
strata <- one("strata", Surv(entry, month, event) ~ age_years + active + strata(sex))
predicted("strata", strata)
one("all", Surv(entry, month, event) ~ age_years + active + strata(sex), TRUE)
plain <- one("plain", Surv(month, event) ~ age_years + active)
predicted("plain", plain)
at <- c(1, 2, 5, 10, 20, 40, 80)
for (name in c("entry", "strata", "plain")) {
  fit <- get(name)
  put(paste0(name, ".martingale"), at - 1, residuals(fit, "martingale")[at], 1e-6, "residuals.coxph")
  put(paste0(name, ".deviance"), at - 1, residuals(fit, "deviance")[at], 1e-6, "residuals.coxph")
}
write.csv(out, "expected.csv", row.names = FALSE)
