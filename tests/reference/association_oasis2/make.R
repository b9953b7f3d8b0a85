# Rscript make.R path/to/oasis2_longitudinal.csv, in the folder of this case; writes expected.csv
suppressMessages({library(survival); library(lme4)})
v <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
optimum <- "two optimisers of the same restricted likelihood; 4 significant digits asked"
exact <- "same likelihood, both maximised to machine precision"
v <- data.frame(id = v$Subject.ID, day = v$MR.Delay, t = v$MR.Delay / 365.25, cdr = v$CDR,
                nwbv = v$nWBV, age = v$Age, group = v$Group)
v <- v[order(v$id, v$day), ]

# time to the first CDR at least 0.5 above that of the first visit
base <- ave(v$cdr, v$id, FUN = function(x) x[1])
worse <- v$cdr >= base + 0.5
event_day <- tapply(ifelse(worse, v$day, Inf), v$id, min)
last_day <- tapply(v$day, v$id, max)
s <- v[!duplicated(v$id), ]
s$event <- as.integer(is.finite(event_day[s$id]))
s$duration <- ifelse(s$event == 1, event_day[s$id], last_day[s$id])
put("n", "subjects", nrow(s), 0, "a count")
put("n", "events", sum(s$event), 0, "a count")
v$duration <- s$duration[match(v$id, s$id)]
v$event <- s$event[match(v$id, s$id)]

for (visits in c("until_event", "all")) {
  u <- if (visits == "all") v else v[v$day <= v$duration, ]
  m <- lmer(nwbv ~ t + (t | id), u, REML = TRUE,
            control = lmerControl(optimizer = "bobyqa",
                                  optCtrl = list(rhoend = 1e-11, maxfun = 1e5)))
  put("singular", visits, isSingular(m), 0, "lme4 reports it")
  if (isSingular(m)) next  # intercept and slope perfectly correlated: slopes say nothing more
  slope <- coef(m)$id[s$id, "t"]
  spread <- sqrt(VarCorr(m)$id["t", "t"])  # of true slopes, not of the shrunken ones
  put("slope.sd", visits, spread, 1e-4, optimum)
  s$x <- -slope / spread  # per SD faster atrophy
  models <- list(plain = Surv(duration, event) ~ x, adjusted = Surv(duration, event) ~ x + age,
                 stratified = Surv(duration, event) ~ x + strata(group))
  for (adjusted in names(models)) {
    fit <- coxph(models[[adjusted]], s, ties = "efron", control = tight)
    put("two_stage.estimate", paste(visits, adjusted), coef(fit)[1], 1e-4, optimum)
    put("two_stage.std_error", paste(visits, adjusted), sqrt(vcov(fit)[1, 1]), 1e-4, optimum)
  }
}
w <- v[v$day < v$duration, ]
following <- ave(w$day, w$id, FUN = function(y) c(y[-1], Inf))
w$start <- w$day
w$stop <- pmin(following, w$duration)
w$event <- as.integer(w$event == 1 & w$stop == w$duration)
spread <- sd(w$nwbv[!duplicated(w$id)])
put("value.sd", "all", spread, 1e-10, "same numbers")
w$x <- -w$nwbv / spread  # per SD lower
for (adjusted in c("plain", "stratified")) {
  fit <- coxph(if (adjusted == "plain") Surv(start, stop, event) ~ x else
    Surv(start, stop, event) ~ x + strata(group), w, ties = "efron", control = tight)
  put("time_varying.estimate", adjusted, coef(fit), 1e-7, exact)
  put("time_varying.std_error", adjusted, sqrt(vcov(fit)[1, 1]), 1e-7, exact)
}
write.csv(out, "expected.csv", row.names = FALSE)
