# Rscript make.R, in the folder of this case; writes expected.csv
library(nlme)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
d$row <- seq_len(nrow(d))
long <- rbind(
  data.frame(id = d$subject_id, row = d$row, arm = d$arm, year = d$year, outcome = "volume", y = d$volume),
  data.frame(id = d$subject_id, row = d$row, arm = d$arm, year = d$year, outcome = "score", y = d$score))
long <- long[!is.na(long$y), ]
long$outcome <- factor(long$outcome, levels = c("volume", "score"))
long$active <- as.numeric(long$arm == "active")
long <- long[order(long$id, long$row, long$outcome), ]
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
control <- lmeControl(maxIter = 500, msMaxIter = 1000, niterEM = 200, msMaxEval = 5000,
                      tolerance = 1e-10, msTol = 1e-12, opt = "nlminb")
flat <- "the likelihood is flat there: lme stops with a relative change of 1e-8 or so"
long$place <- as.integer(long$outcome)
one <- function(name, method, correlated) {
  corr <- if (correlated) corSymm(form = ~ place | id/row) else NULL
  fit <- lme(y ~ 0 + outcome + outcome:year + I(year * active * (outcome == "volume")),
             random = list(id = pdSymm(~ 0 + outcome + outcome:year)),
             weights = varIdent(form = ~ 1 | outcome), correlation = corr, data = long,
             method = method, control = control)
  report(name, fit)
  if (correlated) {
    put(paste0(name, ".residual_correlation"), "visit",
        coef(fit$modelStruct$corStruct, unconstrained = FALSE), 1e-3, flat)
  }
}
report <- function(name, fit) {
  terms <- c("volume: Intercept", "score: Intercept", "volume: slope by arm", "volume: year", "score: year")
  put(paste0(name, ".log_likelihood"), "model", as.numeric(logLik(fit)), 1e-7,
      "same likelihood, both at its maximum, where it is flat")
  put(paste0(name, ".fixed"), terms, fixef(fit), 1e-4, flat)
  put(paste0(name, ".fixed_std_error"), terms, sqrt(diag(vcov(fit))), 1e-4, flat)
  D <- as.matrix(getVarCov(fit))
  dim <- c("volume: intercept", "score: intercept", "volume: year", "score: year")
  S <- cov2cor(D)
  put(paste0(name, ".sd"), dim, sqrt(diag(D)), 1e-4, flat)
  pairs <- t(combn(4, 2))
  put(paste0(name, ".correlation"), paste(dim[pairs[, 1]], "with", dim[pairs[, 2]]), S[pairs], 1e-3, flat)
  w <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
  put(paste0(name, ".residual_sd"), names(w), fit$sigma * w, 1e-4, flat)
  b <- ranef(fit)
  put(paste0(name, ".blup"), paste(rep(rownames(b)[c(1, 4, 21)], 4), rep(dim, each = 3)),
      unlist(b[c(1, 4, 21), ]), 1e-3, flat)
}
one("reml", "REML", FALSE)
one("ml", "ML", FALSE)
one("visits", "REML", TRUE)
write.csv(out, "expected.csv", row.names = FALSE)
