# Rscript make.R path/to/pbc2.csv, in the folder of this case; writes expected.csv
library(survival)
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
exact <- "same likelihood, both maximised to machine precision"
# bilirubin carried forward from each visit to the next; death ends the last interval
d <- d[order(as.integer(d$id), d$year), ]
d <- d[d$year < d$years, ]
following <- ave(d$year, d$id, FUN = function(y) c(y[-1], Inf))
d$start <- d$year
d$stop <- pmin(following, d$years)
d$death <- as.integer(d$status2 == 1 & d$stop == d$years)
put("n", "rows", nrow(d), 0, "a count")
put("n", "subjects", length(unique(d$id)), 0, "a count")
put("n", "events", sum(d$death), 0, "a count")

cox <- function(name, formula, terms, cluster = FALSE) {
  fit <- if (cluster) coxph(formula, d, ties = "efron", control = tight, cluster = id) else
    coxph(formula, d, ties = "efron", control = tight)
  put(paste0(name, ".estimate"), terms, coef(fit), 1e-7, exact)
  put(paste0(name, ".std_error"), terms, sqrt(diag(vcov(fit))), 1e-6, exact)
  put(paste0(name, ".log_likelihood"), "model", fit$loglik[2], 1e-10, exact)
  put(paste0(name, ".concordance"), "all", unname(fit$concordance["concordance"]), 1e-10,
      "a ratio of counts")
  if (!cluster) {
    put(paste0(name, ".zph.km"), c(terms, "global"),
        cox.zph(fit, transform = "km", terms = FALSE)$table[, "chisq"][seq_len(length(terms) + 1)],
        1e-6, "score test of a time interaction; same formula since survival 3.0")
  }
  invisible(fit)
}
one <- cox("bilirubin", Surv(start, stop, death) ~ log(serBilir), "log(serBilir)")
more <- c("log(serBilir)", "age", "drug[T.placebo]")
cox("adjusted", Surv(start, stop, death) ~ log(serBilir) + age + drug, more)
cox("strata", Surv(start, stop, death) ~ log(serBilir) + age + strata(sex), more[1:2])
cox("cluster", Surv(start, stop, death) ~ log(serBilir) + age + drug, more, cluster = TRUE)
base <- basehaz(one, centered = FALSE)
at <- base$time %in% sort(unique(d$stop[d$death == 1]))[c(1, 20, 60, 100, 140)]
shift <- exp(sum(coef(one) * mean(log(d$serBilir))))
put("bilirubin.baseline", sprintf("%.10f", base$time[at]), base$hazard[at] * shift, 1e-6, exact)

first <- d[!duplicated(d$id), ]
first$status2 <- as.integer(first$status2 == 1)
curve <- survfit(Surv(years, status2) ~ drug, first, conf.type = "log-log")
m <- summary(curve)$table
put("km.median", sub("drug=", "", rownames(m)), m[, "median"], 1e-12, "a time of the data")
put("km.median_low", sub("drug=", "", rownames(m)), m[, "0.95LCL"], 1e-12, "a time of the data")
put("km.median_high", sub("drug=", "", rownames(m)), m[, "0.95UCL"], 1e-12, "a time of the data")
s <- summary(curve, times = c(1, 5, 10))
key <- paste(sub("drug=", "", s$strata), s$time, sep = "@")
put("km.survival", key, s$surv, 1e-10, "product of the same fractions")
put("km.conf_low", key, s$lower, 1e-8, "log(-log) interval from Greenwood's variance")
put("km.conf_high", key, s$upper, 1e-8, "log(-log) interval from Greenwood's variance")
put("km.at_risk", key, s$n.risk, 0, "a count")
put("km.logrank", "drug", survdiff(Surv(years, status2) ~ drug, first)$chisq, 1e-8, "same formula")
write.csv(out, "expected.csv", row.names = FALSE)
