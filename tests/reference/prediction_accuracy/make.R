# Rscript make.R, in the folder of this case; writes expected.csv
suppressMessages({library(riskRegression); library(survival); library(prodlim)})
d <- read.csv("input.csv", stringsAsFactors = FALSE)
d$code <- match(d$cause, c("censored", "progression", "death")) - 1
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tied <- "Score's influence function of the Brier score knows no ties; compare the case untied"
models <- list(good = d$good, poor = d$poor)
exact <- "the same weighted sums"
first <- "both by influence functions; Score neglects terms of the order of one subject"
for (horizon in c(1.5, 3.25)) for (kind in c("one", "competing")) {
  f <- if (kind == "one") Surv(duration, event) ~ 1 else Hist(duration, code) ~ 1
  s <- Score(models, formula = f, data = d, times = horizon, cause = 1, metrics = c("auc", "brier"),
             summary = "ipa", null.model = TRUE, se.fit = TRUE, conservative = FALSE, cens.model = "km")
  key <- function(x) paste(x, horizon, sep = "@")
  auc <- s$AUC$score; brier <- s$Brier$score[s$Brier$score$model != "Null model", ]
  put(paste0(kind, ".auc"), key(auc$model), auc$AUC, 1e-9, exact)
  put(paste0(kind, ".auc_std_error"), key(auc$model), auc$se, 1e-3, first)
  put(paste0(kind, ".brier"), key(brier$model), brier$Brier, 1e-9, exact)
  put(paste0(kind, ".brier_std_error"), key(brier$model), brier$se, 2e-2, tied)
  put(paste0(kind, ".scaled_brier"), key(brier$model), brier$IPA, 1e-8, exact)
  delta <- s$AUC$contrasts
  put(paste0(kind, ".auc_difference"), key("poor"), delta$delta.AUC, 1e-8, exact)
  put(paste0(kind, ".auc_difference_std_error"), key("poor"), delta$se, 1e-3, first)
  delta <- s$Brier$contrasts[s$Brier$contrasts$model == "poor" & s$Brier$contrasts$reference == "good", ]
  put(paste0(kind, ".brier_difference"), key("poor"), delta$delta.Brier, 1e-8, exact)
  put(paste0(kind, ".brier_difference_std_error"), key("poor"), delta$se, 2e-2, tied)

  # calibration: weighted binomial regression with the weights of prodlim's reverse Kaplan-Meier
  status <- if (kind == "one") d$event else d$code
  G <- prodlim(Hist(duration, event) ~ 1, data = d, reverse = TRUE)
  before <- predict(G, times = horizon, type = "surv")
  each <- sapply(d$duration - 1e-6, function(t) predict(G, times = t, type = "surv"))
  W <- ifelse(d$duration > horizon, 1 / before, ifelse(d$event == 1, 1 / each, 0))
  D <- as.numeric(d$duration <= horizon & status == 1)
  for (m in names(models)) {
    x <- log(-log(1 - models[[m]]))
    tight <- list(epsilon = 1e-14, maxit = 200)
    slope <- suppressWarnings(glm(D ~ x, binomial("cloglog"), weights = W, control = tight))
    shift <- suppressWarnings(glm(D ~ 1 + offset(x), binomial("cloglog"), weights = W, control = tight))
    iwls <- "same estimating equation, both solved to convergence"
    put(paste0(kind, ".calibration_slope"), key(m), coef(slope)[2], 1e-6, iwls)
    put(paste0(kind, ".calibration_intercept"), key(m), coef(shift)[1], 1e-6, iwls)
    observed <- if (kind == "one") 1 - predict(prodlim(Hist(duration, event) ~ 1, d), times = horizon)
      else predict(prodlim(Hist(duration, code) ~ 1, d), times = horizon, cause = 1)
    put(paste0(kind, ".observed_expected"), key(m), as.numeric(unlist(observed)) / mean(models[[m]]),
        1e-9, "Kaplan-Meier or Aalen-Johansen share over the mean prediction")
  }
}
# the same without ties: later rows a little later
d$apart <- d$duration + 1e-4 * seq_len(nrow(d))
s <- Score(models, formula = Surv(apart, event) ~ 1, data = d, times = 3.25, metrics = "brier",
           null.model = FALSE, se.fit = TRUE, conservative = FALSE, cens.model = "km")
put("untied.brier_std_error", paste(s$Brier$score$model, 3.25, sep = "@"), s$Brier$score$se, 2e-4, first)
put("untied.brier_difference_std_error", "poor@3.25", s$Brier$contrasts$se, 2e-4, first)
# observed risk in groups of predicted risk, by Kaplan-Meier
for (m in names(models)) {
  cuts <- quantile(models[[m]], (1:3) / 4, names = FALSE)
  g <- findInterval(models[[m]], cuts, left.open = TRUE) + 1
  for (k in 1:4) {
    fit <- summary(survfit(Surv(duration, event) ~ 1, d[g == k, ], conf.type = "log-log"),
                   times = 3.25, extend = TRUE)
    put("group.observed", paste(m, k, sep = "@"), 1 - fit$surv, 1e-9, "the same product")
    put("group.n", paste(m, k, sep = "@"), sum(g == k), 1e-12, "a count")
    put("group.conf_low", paste(m, k, sep = "@"), 1 - fit$upper, 2e-2,
        "Greenwood against influence functions with n - 1")
    put("group.conf_high", paste(m, k, sep = "@"), 1 - fit$lower, 2e-2,
        "Greenwood against influence functions with n - 1")
  }
}
write.csv(out, "expected.csv", row.names = FALSE)
