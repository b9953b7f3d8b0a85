# Rscript make.R, in the folder of this case; writes expected.csv
suppressMessages({library(survival); library(cmprsk); library(etm); library(npsurv)})
d <- read.csv("input.csv", stringsAsFactors = TRUE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = as.character(term),
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
counts <- "the same sums of counts"

# delayed entry
late <- survfit(Surv(entry, duration, event) ~ arm, d, conf.type = "log-log")
s <- summary(late, censored = TRUE)
key <- paste(sub("arm=", "", s$strata), s$time, sep = "@")
put("entry.survival", key, s$surv, 1e-10, counts)
put("entry.conf_low", key, s$lower, 1e-8, "log(-log) interval from Greenwood's variance")
put("entry.conf_high", key, s$upper, 1e-8, "log(-log) interval from Greenwood's variance")
put("entry.n_at_risk", key, s$n.risk, 0, "a count")

# log-rank tests
test <- function(name, fit) {
  put(paste0(name, ".statistic"), "all", fit$chisq, 1e-8, counts)
  if (is.null(dim(fit$obs))) {
    put(paste0(name, ".observed"), names(fit$n), fit$obs, 1e-8, counts)
    put(paste0(name, ".expected"), names(fit$n), fit$exp, 1e-8, counts)
  } else {
    put(paste0(name, ".observed"), names(fit$n), rowSums(fit$obs), 1e-8, counts)
    put(paste0(name, ".expected"), names(fit$n), rowSums(fit$exp), 1e-8, counts)
  }
}
test("plain", survdiff(Surv(duration, event) ~ arm, d))
test("strata", survdiff(Surv(duration, event) ~ arm + strata(centre), d))
test("peto1", survdiff(Surv(duration, event) ~ arm, d, rho = 1))
test("peto1_strata", survdiff(Surv(duration, event) ~ arm + strata(centre), d, rho = 1))
test("half", survdiff(Surv(duration, event) ~ arm, d, rho = 0.5))
exact <- "score test of the partial likelihood: without ties the hypergeometric variance"
set.seed(1)
d$untied <- d$duration - runif(nrow(d)) * 0.4  # stored in expected.csv, as quantity untied
put("untied", d$subject_id, d$untied, 0, "durations without ties")
score <- function(name, formula) {
  put(paste0(name, ".statistic"), "all", coxph(formula, d, ties = "breslow", iter.max = 0)$score,
      1e-8, exact)
}
score("entry", Surv(entry, untied, event) ~ arm)
score("entry_strata", Surv(entry, untied, event) ~ arm + strata(centre))
d$dose <- c(high = 2, low = 1, placebo = 0)[as.character(d$arm)]
score("trend", Surv(untied, event) ~ dose)
score("trend_strata", Surv(untied, event) ~ dose + strata(centre))
for (pair in list(c("high", "low"), c("high", "placebo"), c("low", "placebo"))) {
  fit <- survdiff(Surv(duration, event) ~ arm, droplevels(d[d$arm %in% pair, ]))
  put("pairs.statistic", paste(pair, collapse = "/"), fit$chisq, 1e-8, counts)
}

# restricted means
for (horizon in c(6, 11.25)) {
  fit <- summary(survfit(Surv(duration, event) ~ arm, d), rmean = horizon)$table
  put(paste0("rmst.", horizon), sub("arm=", "", rownames(fit)), fit[, "rmean"], 1e-10, counts)
  put(paste0("rmst_se.", horizon), sub("arm=", "", rownames(fit)), fit[, "se(rmean)"], 1e-10,
      counts)
}

# competing causes
d$state <- factor(d$cause, levels = c("censored", "death", "progression", "relapse"))
times <- c(1, 2.5, 5, 8, 11)
fit <- summary(survfit(Surv(duration, state) ~ arm, d), times = times)
for (k in 2:4) {
  put("incidence", paste(sub("arm=", "", fit$strata), fit$states[k], fit$time, sep = "@"),
      fit$pstate[, k], 1e-10, counts)
}
cuminc_fit <- cuminc(d$duration, d$cause, d$arm, cencode = "censored")
points <- timepoints(cuminc_fit, times)
keys <- sapply(strsplit(rownames(points$est), " "), paste, collapse = "@")
for (j in seq_along(times)) {
  put("cuminc_se", paste(keys, times[j], sep = "@"), sqrt(points$var[, j]), 0.03,
      "cmprsk divides by n - 1, and takes causes for independent at ties: differs by order 1/n")
}
for (arm in levels(d$arm)) {
  part <- d[d$arm == arm, ]
  e <- etmCIF(Surv(duration, cause != "censored") ~ 1, part, etype = cause,
              failcode = "progression")
  v <- e[[1]]$cov
  for (cause in c("death", "progression", "relapse")) {
    at <- sapply(times, function(t) max(which(e[[1]]$time <= t)))
    cell <- paste("0", cause, sep = " ")
    put("incidence_se", paste(arm, cause, times, sep = "@"), sqrt(v[cell, cell, at]), 1e-8,
        "Greenwood's variance of the Aalen-Johansen estimate")
  }
}
gray <- function(name, ...) {
  tests <- cuminc(d$duration, d$cause, d$arm, cencode = "censored", ...)$Tests
  put(paste0("gray.", name), rownames(tests), tests[, "stat"], 1e-8, "Gray's own variance")
}
gray("plain")
gray("strata", strata = d$centre)
gray("rho", rho = 1)
two <- d[d$arm != "low", ]
tests <- cuminc(two$duration, two$cause, droplevels(two$arm), cencode = "censored")$Tests
put("gray.two", rownames(tests), tests[, "stat"], 1e-8, "Gray's own variance")

# interval-censored
known <- d[!(d$lower == 0 & is.infinite(d$upper)), ]
for (arm in levels(d$arm)) {
  part <- known[known$arm == arm, ]
  fit <- npsurv(as.matrix(part[, c("lower", "upper")]), tol = 1e-12, maxit = 2000)
  put("turnbull.log_likelihood", arm, fit$ll, 1e-9, "the same maximum of a concave function")
  f <- fit$f
  keep <- f$p > 1e-8
  right <- f$right[keep]
  put("turnbull.lower", paste(arm, seq_along(right), sep = "@"), f$left[keep], 1e-12, "data")
  put("turnbull.upper", paste(arm, seq_along(right), sep = "@"), right, 1e-12, "data")
  put("turnbull.mass", paste(arm, seq_along(right), sep = "@"), f$p[keep], 2e-5,
      "two optimisers of a flat maximum")
}
write.csv(out, "expected.csv", row.names = FALSE)
