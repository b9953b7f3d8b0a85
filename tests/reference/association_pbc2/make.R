# Rscript make.R path/to/pbc2.csv, in the folder of this case; writes expected.csv
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

# days, as a cohort stores them
v$day <- round(v$year * 365.25)
v$duration <- round(v$years * 365.25)
v$t <- v$day / 365.25
v$log_bilirubin <- log(v$serBilir)
v <- v[order(as.integer(v$id), v$day), ]
s <- v[!duplicated(v$id), ]
s$death <- as.integer(s$status2 == 1)

# stage 1: one slope per subject, from measurements up to the day of death or censoring
u <- v[v$day <= v$duration, ]
m <- lmer(log_bilirubin ~ t + (t | id), u, REML = TRUE,
          control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5)))
slope <- coef(m)$id
s$slope <- slope[as.character(s$id), "t"]
spread <- sqrt(VarCorr(m)$id["t", "t"])  # of true slopes, not of the shrunken ones
put("slope.sd", "all", spread, 1e-4, optimum)
put("slope", as.character(s$id[c(1, 50, 150, 312)]), s$slope[c(1, 50, 150, 312)], 1e-4, optimum)

cox <- function(method, formula, data, term) {
  fit <- coxph(formula, data, ties = "efron", control = tight)
  rtol <- if (startsWith(method, "two_stage")) 1e-4 else 1e-7
  why <- if (startsWith(method, "two_stage")) optimum else exact
  put(paste0(method, ".estimate"), term, coef(fit)[1], rtol, why)
  put(paste0(method, ".std_error"), term, sqrt(vcov(fit)[1, 1]), rtol, why)
  put(paste0(method, ".n"), "subjects", length(unique(data$id)), 0, "a count")
  put(paste0(method, ".n"), "events", fit$nevent, 0, "a count")
}
# stage 2
s$x <- s$slope / spread
cox("two_stage", Surv(duration, death) ~ x, s, "plain")
cox("two_stage", Surv(duration, death) ~ x + age + drug, s, "adjusted")
q <- quantile(s$slope, c(1, 2) / 3)
s$third <- 1 + (s$slope > q[1]) + (s$slope > q[2])
put("tertile.n", 1:3, table(s$third), 0, "a count")
curve <- summary(survfit(Surv(duration, death) ~ third, s, conf.type = "log-log"), times = 1826)
put("tertile.survival", 1:3, curve$surv, 1e-8, "same subjects in each third")
put("tertile.logrank", "all", survdiff(Surv(duration, death) ~ third, s)$chisq, 1e-8,
    "same subjects in each third")

# current value: carried forward from each visit until the next
w <- v[v$day < v$duration, ]
following <- ave(w$day, w$id, FUN = function(y) c(y[-1], Inf))
w$start <- w$day
w$stop <- pmin(following, w$duration)
w$death <- as.integer(w$status2 == 1 & w$stop == w$duration)
spread <- sd(w$log_bilirubin[!duplicated(w$id)])
put("value.sd", "all", spread, 1e-10, "same numbers")
w$x <- w$log_bilirubin / spread
cox("time_varying", Surv(start, stop, death) ~ x, w, "plain")
cox("time_varying", Surv(start, stop, death) ~ x + age + drug, w, "adjusted")
write.csv(out, "expected.csv", row.names = FALSE)
