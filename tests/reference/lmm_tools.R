# What the lmm_* cases share: fit with lme4 and lmerTest, and write down what a test compares.
suppressMessages({library(lme4); library(lmerTest); library(emmeans); library(numDeriv)})
emm_options(lmerTest.limit = Inf, lmer.df = "satterthwaite")
options(digits = 17)

# Tighter than lme4's defaults, which stop some 1e-5 from the maximum.
TIGHT <- lmerControl(optimizer = "nloptwrap", optCtrl = list(
  xtol_abs = 1e-11, xtol_rel = 1e-11, ftol_abs = 1e-13, ftol_rel = 1e-15, maxeval = 1e5))

WHY <- c(
  estimate = "same likelihood, both maximised to about 1e-7 of a variance ratio",
  std_error = "as for the estimates; model based, variance components taken as known",
  df = "second derivatives of the likelihood by finite differences in lmerTest",
  vcov = "as for the standard errors; relative to the largest entry",
  variance = "least determined: the likelihood is flat in them; relative to the largest entry",
  residual_sd = "as for the estimates",
  log_likelihood = "flat at its maximum: errors of the parameters enter squared",
  blup = "follow the variance components; relative to the largest of the same effect",
  slope = "a combination of the estimates; emtrends takes a difference quotient",
  percent = "a ratio of two combinations of the estimates; gradient by numDeriv")
RTOL <- c(estimate = 1e-6, std_error = 1e-6, df = 1e-3, vcov = 1e-6, variance = 1e-5,
          residual_sd = 1e-6, log_likelihood = 1e-9, blup = 1e-5, slope = 1e-6, percent = 1e-6)

row_of <- function(model, quantity, term, value, kind = quantity)
  data.frame(quantity = paste(model, quantity, sep = "."), term = term,
             value = sprintf("%.15g", value), rtol = RTOL[[kind]], why = WHY[[kind]])

# names: of the fixed effects, spelled as pmsstats spells them, in R's order
# effects: of the random effects, likewise; by, time: for the slopes per group
values_of <- function(model, fit, names, effects, by = NULL, time = NULL, levels = NULL) {
  V <- as.matrix(vcov(fit)); p <- length(names)
  stopifnot(p == length(fixef(fit)))
  test <- coef(summary(fit))
  rows <- list(
    row_of(model, "estimate", names, fixef(fit)),
    row_of(model, "std_error", names, sqrt(diag(V))),
    row_of(model, "df", names, test[, "df"]),
    row_of(model, "vcov", outer(names, names, paste, sep = " | ")[lower.tri(V, diag = TRUE)],
           V[lower.tri(V, diag = TRUE)]),
    row_of(model, "residual_sd", "residual", sigma(fit)),
    row_of(model, "log_likelihood", "model", as.numeric(logLik(fit))),
    row_of(model, "n", "rows", nobs(fit), "log_likelihood"))
  parts <- as.data.frame(VarCorr(fit)); parts <- parts[parts$grp != "Residual", ]
  label <- setNames(effects, unique(parts$var1))
  second <- ifelse(is.na(parts$var2), parts$var1, parts$var2)
  rows <- c(rows, list(
    row_of(model, "variance", paste(label[parts$var1], label[second], sep = " | "), parts$vcov)))
  modes <- ranef(fit, condVar = FALSE)[[1]]
  for (k in seq_along(effects))
    rows <- c(rows, list(row_of(model, "blup", paste(rownames(modes), effects[k], sep = " | "),
                                modes[[names(label)[k]]])))
  if (!is.null(time)) rows <- c(rows, slopes_of(model, fit, by, time, levels))
  do.call(rbind, rows)
}

slopes_of <- function(model, fit, by, time, levels) {
  spec <- as.formula(paste("~", if (is.null(by)) "1" else by))
  trends <- emtrends(fit, spec, var = time)
  slope <- as.data.frame(trends)
  if (is.null(levels)) levels <- if (is.null(by)) "all" else as.character(slope[[by]])
  times <- model.frame(fit)[[time]]
  at <- list(if (min(times) <= 0) 0 else min(times)); names(at) <- time
  base <- emmeans(fit, spec, at = at)
  L <- trends@linfct; B <- base@linfct; V <- as.matrix(vcov(fit)); beta <- fixef(fit)
  share <- function(b) as.numeric(100 * (L %*% b) / (B %*% b))
  J <- jacobian(share, beta)
  rows <- list(
    row_of(model, "slope", levels, slope[[paste0(time, ".trend")]]),
    row_of(model, "slope_std_error", levels, slope$SE, "slope"),
    row_of(model, "slope_df", levels, slope$df, "df"),
    row_of(model, "baseline", levels, as.data.frame(base)$emmean, "slope"),
    row_of(model, "percent", levels, share(beta)),
    row_of(model, "percent_std_error", levels, sqrt(diag(J %*% V %*% t(J))), "percent"))
  if (length(levels) < 2) return(rows)
  difference <- as.data.frame(contrast(trends, "trt.vs.ctrl1", adjust = "none"))
  pair <- paste(levels[-1], "-", levels[1])
  c(rows, list(
    row_of(model, "difference", pair, difference$estimate, "slope"),
    row_of(model, "difference_std_error", pair, difference$SE, "slope"),
    row_of(model, "difference_df", pair, difference$df, "df"),
    row_of(model, "difference_p_value", pair, difference$p.value, "df")))
}

write_expected <- function(...)
  write.csv(rbind(...), "expected.csv", row.names = FALSE, quote = TRUE)
