# Repeated measures of fev.csv by nlme::gls, least-squares means by emmeans; SAS values copied.
# Rscript make.R path/to/fev.csv path/to/arm_difference.csv
suppressMessages({library(nlme); library(lme4); library(lmerTest); library(emmeans)})
options(digits = 17)
emm_options(lmer.df = "satterthwaite", lmerTest.limit = Inf)
paths <- commandArgs(trailingOnly = TRUE)
d <- read.csv(paths[1])
for (v in c("ARMCD", "AVISIT", "RACE", "SEX")) d[[v]] <- factor(d[[v]])
d <- d[!is.na(d$FEV1), ]
TIGHT <- glsControl(maxIter = 1000, msMaxIter = 1000, tolerance = 1e-12, msTol = 1e-14)

WHY <- c(
  sas = "four significant digits; SAS stops short of the maximum, see plain.estimate",
  sas_p = "as its statistic, whose error a p value of 1e-8 multiplies by about 6",
  mean = "same likelihood; gls stops some 1e-5 from the maximum",
  fixed = "same likelihood, without covariates that would slow gls down",
  log_likelihood = "flat at its maximum: errors of the parameters enter squared",
  variance = "least determined: the likelihood is flat in them",
  df = "second derivatives of the likelihood by finite differences in lmerTest",
  n = "a count")
RTOL <- c(sas = 5e-4, sas_p = 4e-3, mean = 1e-4, fixed = 1e-6, log_likelihood = 1e-7, variance = 1e-3, df = 1e-3, n = 0)
row_of <- function(quantity, term, value, kind)
  data.frame(quantity = quantity, term = term, value = sprintf("%.15g", value),
             rtol = RTOL[[kind]], why = WHY[[kind]])

us <- function(formula, data = d, method = "REML", weights = varIdent(form = ~ 1 | AVISIT))
  do.call(gls, list(formula, data, corSymm(form = ~ VISITN | USUBJID), weights, method = method,
                    control = TIGHT))

label <- function(table, by) do.call(paste, c(lapply(by, function(b) as.character(table[[b]])), sep = ", "))
means_of <- function(model, grid, by, with_df = FALSE) {
  table <- as.data.frame(summary(grid, infer = c(FALSE, FALSE)))
  rows <- rbind(row_of(paste(model, "mean", sep = "."), label(table, by), table$emmean, "mean"),
                row_of(paste(model, "mean_std_error", sep = "."), label(table, by), table$SE, "mean"))
  if (with_df) rows <- rbind(rows, row_of(paste(model, "mean_df", sep = "."), label(table, by), table$df, "df"))
  rows
}
contrasts_of <- function(model, grid, within, method, adjust) {
  table <- as.data.frame(summary(contrast(grid, method, by = within, adjust = adjust), infer = TRUE))
  term <- if (is.null(within)) as.character(table$contrast) else paste(table$contrast, table[[within]], sep = ", ")
  low <- grep("LCL|lower.CL", names(table)); high <- grep("UCL|upper.CL", names(table))
  name <- function(q) paste(model, q, sep = ".")
  rbind(row_of(name("difference"), term, table$estimate, "mean"),
        row_of(name("difference_std_error"), term, table$SE, "mean"),
        row_of(name("difference_p_value"), term, table$p.value, "variance"),
        row_of(name("difference_conf_low"), term, table[[low]], "variance"),
        row_of(name("difference_conf_high"), term, table[[high]], "variance"))
}
basic_of <- function(model, fit) rbind(
  row_of(paste(model, "log_likelihood", sep = "."), "model", as.numeric(logLik(fit)), "log_likelihood"),
  row_of(paste(model, "n", sep = "."), "rows", nrow(getData(fit)), "n"))
covariance_of <- function(model, fit) {
  complete <- names(which(table(d$USUBJID) == 4))[1]
  V <- as.matrix(getVarCov(fit, individual = complete))
  V <- V[lower.tri(V, diag = TRUE)]
  names <- outer(1:4, 1:4, function(i, j) paste0("VIS", i, " | VIS", j))
  row_of(paste(model, "covariance", sep = "."), names[lower.tri(names, diag = TRUE)], V, "variance")
}
# under ML gls multiplies its vcov by n / (n - p), which nobody else does
phi <- function(fit) vcov(fit) * if (fit$method == "ML") (fit$dims$N - fit$dims$p) / fit$dims$N else 1
of <- function(fit, ..., at = list()) emmeans(qdrg(formula = formula(fit), data = getData(fit),
  coef = coef(fit), vcov = phi(fit), df = Inf, at = at), ...)

sas <- read.csv(paths[2])
sas_rows <- do.call(rbind, lapply(seq_len(nrow(sas)), function(i) do.call(rbind, lapply(
  c("estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high"), function(q)
    row_of(paste("sas", q, sep = "."), paste(sas$covariance[i], sas$ddfm[i], sep = ", "),
           sas[[q]][i], if (q == "p_value") "sas_p" else "sas")))))

trial <- FEV1 ~ RACE + SEX + FEV1_BL + ARMCD * AVISIT
full <- us(trial); ml <- us(trial, method = "ML")
weighted <- us(trial, weights = varComb(varFixed(~ 1 / WEIGHT), varIdent(form = ~ 1 | AVISIT)))
plain <- us(FEV1 ~ ARMCD)
cell <- c("ARMCD", "AVISIT")
by_visit <- of(full, ~ ARMCD | AVISIT)
arms <- lapply(levels(d$ARMCD), function(a) us(FEV1 ~ AVISIT, droplevels(d[d$ARMCD == a, ])))
lmm <- lmer(FEV1 ~ ARMCD * VISITN + RACE + SEX + (1 | USUBJID), d, control = lmerControl(
  optimizer = "nloptwrap", optCtrl = list(xtol_abs = 1e-11, ftol_abs = 1e-13, maxeval = 1e5)))
at_two <- emmeans(lmm, ~ ARMCD, at = list(VISITN = 2.5))

write.csv(rbind(
  sas_rows,
  basic_of("plain", plain), row_of("plain.estimate", c("Intercept", "ARMCD[T.TRT]"), coef(plain), "fixed"),
  basic_of("us", full), covariance_of("us", full),
  means_of("us", by_visit, cell),
  means_of("us_proportional", of(full, ~ ARMCD | AVISIT, weights = "proportional"), cell),
  means_of("us_at", of(full, ~ ARMCD | AVISIT, at = list(FEV1_BL = 30)), cell),
  means_of("us_arm", of(full, ~ ARMCD), "ARMCD"),
  means_of("us_race_proportional", of(full, ~ RACE, weights = "proportional"), "RACE"),
  contrasts_of("us", by_visit, "AVISIT", "trt.vs.ctrl1", "none"),
  contrasts_of("us_race_bonferroni", of(full, ~ RACE), NULL, "revpairwise", "bonferroni"),
  contrasts_of("us_race_sidak", of(full, ~ RACE), NULL, "revpairwise", "sidak"),
  contrasts_of("us_race_holm", of(full, ~ RACE), NULL, "revpairwise", "holm"),
  contrasts_of("us_race_tukey", of(full, ~ RACE), NULL, "revpairwise", "tukey"),
  contrasts_of("us_consecutive", of(full, ~ AVISIT | ARMCD), "ARMCD", "consec", "none"),
  basic_of("ml", ml), means_of("ml", of(ml, ~ ARMCD | AVISIT), cell),
  basic_of("weighted", weighted), means_of("weighted", of(weighted, ~ ARMCD | AVISIT), cell),
  row_of("by_arm.log_likelihood", levels(d$ARMCD), sapply(arms, function(f) as.numeric(logLik(f))),
         "log_likelihood"),
  do.call(rbind, lapply(1:2, function(i) {
    table <- as.data.frame(of(arms[[i]], ~ AVISIT)); term <- paste(levels(d$ARMCD)[i], table$AVISIT, sep = ", ")
    rbind(row_of("by_arm.mean", term, table$emmean, "mean"),
          row_of("by_arm.mean_std_error", term, table$SE, "mean"))})),
  means_of("lmm_at", at_two, "ARMCD", with_df = TRUE),
  contrasts_of("lmm_at", at_two, NULL, "trt.vs.ctrl1", "none"),
  contrasts_of("lmm_race_tukey", emmeans(lmm, ~ RACE), NULL, "revpairwise", "tukey")),
  "expected.csv", row.names = FALSE, quote = TRUE)
cat(R.version.string, "\n")
for (p in c("nlme", "lme4", "lmerTest", "emmeans")) cat(p, as.character(packageVersion(p)), "\n")
