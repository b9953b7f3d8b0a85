# Rscript make.R, in the folder of this case; writes expected.csv
library(survival)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
d$arm <- factor(d$arm, levels = c("active", "placebo"))
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
terms <- c("arm[T.placebo]", "age_years", "log(snfl_pg_ml)")
exact <- "same likelihood, both maximised to machine precision"

cox <- function(name, formula, cluster = NULL) {
  fit <- if (is.null(cluster)) coxph(formula, d, ties = "efron", control = tight) else
    coxph(formula, d, ties = "efron", control = tight, cluster = centre)
  put(paste0(name, ".estimate"), terms, coef(fit), 1e-7, exact)
  put(paste0(name, ".std_error"), terms, sqrt(diag(vcov(fit))), 1e-6, exact)
  put(paste0(name, ".log_likelihood"), "model", fit$loglik[2], 1e-10, exact)
  put(paste0(name, ".log_likelihood"), "null", fit$loglik[1], 1e-10, exact)
  put(paste0(name, ".concordance"), "all", unname(fit$concordance["concordance"]), 1e-10,
      "a ratio of counts")
  for (transform in c("km", "rank", "identity", "log")) {
    if (is.null(cluster)) {
      test <- cox.zph(fit, transform = if (transform == "log") base::log else transform,
                      terms = FALSE)$table
      put(paste0(name, ".zph.", transform), c(terms, "global"), test[, "chisq"], 1e-6,
          "score test of a time interaction; same formula since survival 3.0")
    }
  }
  invisible(fit)
}
fit <- cox("plain", Surv(duration, event) ~ arm + age_years + log(snfl_pg_ml))
base <- basehaz(fit, centered = FALSE)
at <- base$time %in% sort(unique(d$duration[d$event == 1]))
# at the mean of every column, as pmsstats reports it
shift <- exp(sum(coef(fit) * colMeans(model.matrix(fit))))
put("plain.baseline", base$time[at], base$hazard[at] * shift, 1e-6, exact)
cox("strata", Surv(duration, event) ~ arm + age_years + log(snfl_pg_ml) + strata(phenotype))
cox("cluster", Surv(duration, event) ~ arm + age_years + log(snfl_pg_ml), cluster = "centre")
cox("both", Surv(duration, event) ~ arm + age_years + log(snfl_pg_ml) + strata(phenotype),
    cluster = "centre")

curve <- survfit(Surv(duration, event) ~ arm, d, conf.type = "log-log")
s <- summary(curve, censored = TRUE)
key <- paste(sub("arm=", "", s$strata), s$time, sep = "@")
km <- "product of the same fractions"
put("km.survival", key, s$surv, 1e-10, km)
put("km.conf_low", key, s$lower, 1e-8, "log(-log) interval from Greenwood's variance")
put("km.conf_high", key, s$upper, 1e-8, "log(-log) interval from Greenwood's variance")
put("km.n_at_risk", key, s$n.risk, 0, "a count")
m <- summary(curve)$table
put("km.median", sub("arm=", "", rownames(m)), m[, "median"], 1e-12, "a time of the data")
put("km.median_low", sub("arm=", "", rownames(m)), m[, "0.95LCL"], 1e-12, "a time of the data")
put("km.median_high", sub("arm=", "", rownames(m)), m[, "0.95UCL"], 1e-12, "a time of the data")
times <- c(0, 1, 4, 6.5, 9, 12)
r <- summary(curve, times = times, extend = TRUE)
put("km.at_risk", paste(sub("arm=", "", r$strata), r$time, sep = "@"), r$n.risk, 0, "a count")
put("km.logrank", "arm", survdiff(Surv(duration, event) ~ arm, d)$chisq, 1e-8, "same formula")
put("km.logrank", "phenotype", survdiff(Surv(duration, event) ~ phenotype, d)$chisq, 1e-8,
    "same formula")
write.csv(out, "expected.csv", row.names = FALSE)
