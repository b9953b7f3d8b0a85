# Rscript make.R, in the folder of this case; writes expected.csv
library(survival)
library(cmprsk)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
terms <- c("active", "atrophy")
status <- ifelse(d$cause == "progression", 1, ifelse(d$cause == "death", 2, 0))
for (time in c("duration", "half_years")) {
  fit <- crr(d[[time]], status, cbind(d$active, d$atrophy), failcode = 1, cencode = 0,
             gtol = 1e-12, maxiter = 50)
  put(paste0(time, ".estimate"), terms, fit$coef, 1e-7, "cmprsk::crr, same likelihood")
  put(paste0(time, ".std_error"), terms, sqrt(diag(fit$var)), 1e-6, "cmprsk::crr, same influence")
  p <- predict(fit, cbind(1, 0.5))
  at <- round(seq(5, nrow(p), length.out = 6))
  put(paste0(time, ".incidence"), sprintf("%.10g", p[at, 1]), p[at, 2], 1e-6, "predict.crr")
}
death <- crr(d$duration, status, cbind(d$active, d$atrophy), failcode = 2, cencode = 0,
             gtol = 1e-12, maxiter = 50)
put("death.estimate", terms, death$coef, 1e-7, "cmprsk::crr, same likelihood")
put("death.std_error", terms, sqrt(diag(death$var)), 1e-6, "cmprsk::crr, same influence")
d$status <- factor(status, 0:2, labels = c("censored", "progression", "death"))
fg <- finegray(Surv(duration, status) ~ ., data = d, etype = "progression")
fit <- coxph(Surv(fgstart, fgstop, fgstatus) ~ active + atrophy, weights = fgwt, data = fg,
             ties = "breslow", control = coxph.control(eps = 1e-14, iter.max = 100))
put("finegray.estimate", terms, coef(fit), 1e-7, "survival::finegray and coxph")
specific <- coxph(Surv(duration, cause == "progression") ~ active + atrophy, d,
                  control = coxph.control(eps = 1e-14, iter.max = 100))
put("cause_specific.estimate", terms, coef(specific), 1e-7, "coxph; death as censoring")
write.csv(out, "expected.csv", row.names = FALSE)
