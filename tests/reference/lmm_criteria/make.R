# Log-likelihoods with their degrees of freedom, and criteria made of them, as lme4 counts.
suppressMessages(library(lmerTest))
d <- read.csv("input.csv")
d$arm <- factor(d$arm, levels = c("placebo", "active"))
d$half <- factor(ifelse(d$subject_no %% 2 == 0, "even", "odd"))
TIGHT <- lmerControl(optimizer = "nloptwrap", optCtrl = list(
  xtol_abs = 1e-11, xtol_rel = 1e-11, ftol_abs = 1e-13, ftol_rel = 1e-15, maxeval = 1e5))
slopes <- thalamus_ml ~ year * arm + (year | site_id:subject_no)
models <- list(
  slopes = slopes,
  sites = update(slopes, . ~ . + (1 | site_id)),
  uncorrelated = thalamus_ml ~ year * arm + (year || site_id:subject_no),
  intercepts = thalamus_ml ~ year + (1 | site_id:subject_no))
row <- function(quantity, term, value, rtol, why)
  data.frame(quantity = quantity, term = term, value = sprintf("%.15g", value), rtol = rtol, why = why)
flat <- "flat at its maximum: errors of the parameters enter squared"
rows <- list()
for (how in c("reml", "ml")) {
  fits <- lapply(models, lmer, data = d, REML = how == "reml", control = TIGHT)
  for (name in names(fits)) {
    likelihood <- logLik(fits[[name]])
    rows[[length(rows) + 1]] <- row(
      paste(name, how, sep = "."), c("log_likelihood", "n_parameters", "aic", "bic"),
      c(likelihood, attr(likelihood, "df"), AIC(fits[[name]]), BIC(fits[[name]])), 1e-8, flat)
  }
  ratio <- 2 * as.numeric(logLik(fits$sites) - logLik(fits$slopes))
  rows[[length(rows) + 1]] <- row(paste("site_variance", how, sep = "."),
    c("statistic", "naive_p_value"), c(ratio, pchisq(ratio, 1, lower.tail = FALSE)), 1e-6, flat)
}
# without an intercept: lmerTest tests coefficients; contestMD the means averaged over `half`
cells <- lmer(thalamus_ml ~ 0 + arm + year:arm + half + (1 | site_id:subject_no), d, control = TIGHT)
averaged <- contestMD(cells, rbind(c(1, 0, 0.5, 0, 0), c(0, 1, 0.5, 0, 0)))
at_reference <- anova(cells, type = 3)["arm", ]
rows[[length(rows) + 1]] <- row("arm_averaged", c("statistic", "df_denominator"),
  c(averaged[["F value"]], averaged[["DenDF"]]), c(1e-5, 1e-3), "follow the variance components")
rows[[length(rows) + 1]] <- row("arm_at_reference", c("statistic", "df_denominator"),
  c(at_reference[["F value"]], at_reference[["DenDF"]]), c(1e-5, 1e-3), "follow the variance components")
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE)
