# Rscript make.R, in the folder of this case; writes expected.csv
library(survival)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
terms <- c("active", "age_years")
same <- "same likelihood, both maximised to machine precision"
d$gap <- d$stop - d$start
fits <- list(
  lwyy = coxph(Surv(start, stop, event) ~ active + age_years, d, cluster = subject_id,
               control = tight),
  pwp_total = coxph(Surv(start, stop, event) ~ active + age_years + strata(event_number), d,
                    cluster = subject_id, control = tight),
  pwp_gap = coxph(Surv(gap, event) ~ active + age_years + strata(event_number), d,
                  cluster = subject_id, control = tight))
for (name in names(fits)) {
  fit <- fits[[name]]
  put(paste0(name, ".estimate"), terms, coef(fit), 1e-7, same)
  put(paste0(name, ".std_error_robust"), terms, sqrt(diag(fit$var)), 1e-6, same)
  put(paste0(name, ".std_error_model"), terms, sqrt(diag(fit$naive.var)), 1e-6, same)
}
curve <- survfit(Surv(start, stop, event) ~ active, d, id = subject_id, robust = TRUE)
s <- summary(curve, times = c(100, 300, 600, 900))
key <- paste(sub("active=", "", s$strata), s$time, sep = "@")
put("mean_events", key, s$cumhaz, 1e-10, "Nelson-Aalen of survfit")
put("std_error", key, s$std.chaz, 1e-8, "infinitesimal jackknife of survfit, by id")
write.csv(out, "expected.csv", row.names = FALSE)
