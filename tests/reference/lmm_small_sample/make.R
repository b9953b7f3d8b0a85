# Small-sample inference: adjusted covariance, degrees of freedom, F tests, type III tests.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(splines)})
options(digits = 17)
TIGHT <- lmerControl(optimizer = "nloptwrap", optCtrl = list(
  xtol_abs = 1e-11, xtol_rel = 1e-11, ftol_abs = 1e-13, ftol_rel = 1e-15, maxeval = 1e5))
WHY <- c(
  kr_std_error = "follows the variance components, which both optimise to some 1e-6",
  kr_covariance = "as for the standard errors; relative to the largest entry",
  kr_df = "as for the standard errors, with products of them",
  sat_df = "second derivatives of the likelihood by finite differences in lmerTest",
  statistic = "a ratio of estimates to their covariance",
  df_numerator = "a count",
  kr_df_denominator = "matches two moments: amplifies errors of the variance components",
  sat_df_denominator = "second derivatives of the likelihood by finite differences in lmerTest",
  p_value = "follows statistic and degrees of freedom")
RTOL <- c(kr_std_error = 1e-6, kr_covariance = 1e-6, kr_df = 1e-6, sat_df = 1e-5,
          statistic = 1e-5, df_numerator = 1e-12, kr_df_denominator = 1e-6,
          sat_df_denominator = 1e-5, p_value = 1e-4)
row_of <- function(model, quantity, term, value, kind = quantity)
  data.frame(quantity = paste(model, quantity, sep = "."), term = term,
             value = sprintf("%.15g", as.numeric(value)), rtol = RTOL[[kind]], why = WHY[[kind]])
METHODS <- c(kr = "Kenward-Roger", sat = "Satterthwaite")

f_rows <- function(model, quantity, label, test, short)
  rbind(
    row_of(model, quantity, paste(label, "| statistic"), test[["F value"]], "statistic"),
    row_of(model, quantity, paste(label, "| df_numerator"), test[["NumDF"]], "df_numerator"),
    row_of(model, quantity, paste(label, "| df_denominator"), test[["DenDF"]],
           paste0(short, "_df_denominator")),
    row_of(model, quantity, paste(label, "| p_value"), test[["Pr(>F)"]], "p_value"))

spelled <- function(term) {  # as pmsstats spells it
  term <- gsub("bs(year, df = 4)", "bs(year, df=4)", term, fixed = TRUE)
  ifelse(term == "arm:sex", "sex:arm", term)
}

contrasts_file <- list()
# names: of the fixed effects, spelled as pmsstats spells them, in R's order
# tests: matrices of combinations, one per row
values_of <- function(model, fit, names, tests = list(), methods = c("kr", "sat")) {
  p <- length(names); stopifnot(p == length(fixef(fit)))
  rows <- list()
  if ("kr" %in% methods) {
    adjusted <- vcovAdj(fit); V <- as.matrix(adjusted)
    df <- sapply(seq_len(p), function(j) get_Lb_ddf(fit, diag(p)[j, ]))
    rows <- list(row_of(model, "kr_std_error", names, sqrt(diag(V))),
                 row_of(model, "kr_df", names, df),
                 row_of(model, "kr_covariance",
                        outer(names, names, paste, sep = " | ")[lower.tri(V, diag = TRUE)],
                        V[lower.tri(V, diag = TRUE)]))
  }
  if ("sat" %in% methods)
    rows <- c(rows, list(row_of(model, "sat_df", names, coef(summary(fit))[, "df"])))
  for (label in names(tests)) {
    L <- tests[[label]]; stopifnot(ncol(L) == p)
    cells <- which(L != 0, arr.ind = TRUE)
    contrasts_file[[length(contrasts_file) + 1]] <<- data.frame(
      model = model, test = label, row = cells[, 1], term = names[cells[, 2]], weight = L[cells])
    for (short in methods)
      rows <- c(rows, list(f_rows(model, paste0(short, "_f"), label,
                                  contestMD(fit, L, ddf = METHODS[[short]]), short)))
  }
  for (short in methods) {
    table <- anova(fit, type = 3, ddf = METHODS[[short]])
    for (i in seq_len(nrow(table)))
      rows <- c(rows, list(f_rows(model, paste0(short, "_type3"), spelled(rownames(table)[i]),
                                  table[i, ], short)))
  }
  do.call(rbind, rows)
}
fit <- function(formula, data, ...) lmer(formula, data, control = TIGHT, ...)
unit <- function(p, ...) diag(p)[c(...), , drop = FALSE]

d <- read.csv("input.csv")
d$sex <- factor(d$sex); d$visit <- factor(d$visit)
d$arm <- factor(d$arm, levels = c("placebo", "low", "high"))
small <- droplevels(d[d$data_set == "small", ]); visits <- droplevels(d[d$data_set == "visits", ])
empty <- visits[!(visits$arm == "high" & visits$visit == "V4"), ]
orthodont <- read.csv("../lmm_orthodont/input.csv"); orthodont$Sex <- factor(orthodont$Sex)
sleep <- read.csv("../lmm_sleepstudy/input.csv")
singular <- read.csv("../lmm_singular/input.csv")
trial <- read.csv("../lmm_trial/input.csv")
trial$arm <- factor(trial$arm, levels = c("placebo", "low", "high")); trial$sex <- factor(trial$sex)

two <- c("Intercept", "year", "arm[T.high]", "year:arm[T.high]")
few <- list(difference = unit(4, 4), slopes = unit(4, 2, 4), all = diag(4),
            repeated = rbind(unit(4, 2, 4), c(0, 1, 0, 1)))
cross <- c("Intercept", "arm[T.low]", "arm[T.high]", "visit[T.V2]", "visit[T.V3]", "visit[T.V4]",
           "sex[T.M]", "age_years", paste0("arm[T.", c("low", "high"), "]:visit[T.V",
                                           rep(2:4, each = 2), "]"))
at_visits <- t(sapply(0:3, function(k) {
  row <- numeric(14); row[3] <- 1; if (k > 0) row[8 + 2 * k] <- 1; row }))
factors <- list(high_at_visits = at_visits, interaction = unit(14, 9:14), visit = unit(14, 4:6),
                last = at_visits[4, , drop = FALSE])
slope <- c("Intercept", "year", "arm[T.low]", "arm[T.high]", "sex[T.M]", "age_years",
           "year:arm[T.low]", "year:arm[T.high]", "sex[T.M]:arm[T.low]", "sex[T.M]:arm[T.high]")
spline <- c("Intercept", paste0("bs(year, df=4)[", 1:4, "]"), "arm[T.low]", "arm[T.high]",
            "poly(age_years, 2)[1]", "poly(age_years, 2)[2]")
means <- c("arm[placebo]", "arm[low]", "arm[high]",
           paste0("arm[", c("placebo", "low", "high"), "]:year"))
holes <- c("Intercept", "arm[T.low]", "arm[T.high]", "visit[T.V2]", "visit[T.V3]", "visit[T.V4]",
           "arm[T.low]:visit[T.V2]", "arm[T.high]:visit[T.V2]", "arm[T.low]:visit[T.V3]",
           "arm[T.high]:visit[T.V3]", "arm[T.low]:visit[T.V4]")
growth <- c("Intercept", "age", "Sex[T.Male]", "age:Sex[T.Male]")
full <- c("Intercept", "year", "arm[T.low]", "arm[T.high]", "sex[T.M]", "age_years",
          "year:arm[T.low]", "year:arm[T.high]")
crossed <- thalamus_ml ~ arm * visit + sex + age_years + (1 | subject_id)
by_sex <- thalamus_ml ~ year * arm + sex * arm + age_years + (year || subject_id)
by_slope <- list(slopes = unit(10, 7, 8), mixed = unit(10, 1, 2, 6),
                 pairwise = rbind(unit(10, 7, 8), unit(10, 8) - unit(10, 7)))

expected <- rbind(
  values_of("small", fit(thalamus_ml ~ year * arm + (year | subject_id), small), two, few),
  values_of("intercept", fit(thalamus_ml ~ year * arm + (1 | subject_id), small), two, few),
  values_of("visits", fit(crossed, visits), cross, factors),
  values_of("visits_ml", fit(crossed, visits, REML = FALSE), cross, factors, "sat"),
  values_of("slopes", fit(by_sex, visits), slope, by_slope),
  values_of("spline", fit(thalamus_ml ~ bs(year, df = 4) + arm + poly(age_years, 2) +
                            (1 | subject_id), visits), spline, list(curve = unit(9, 2:5))),
  values_of("means", fit(thalamus_ml ~ 0 + arm + arm:year + (1 | subject_id), visits), means,
            list(slopes = unit(6, 4:6))),
  values_of("empty", fit(thalamus_ml ~ arm * visit + (1 | subject_id), empty), holes,
            list(interaction = unit(11, 7:11))),
  values_of("orthodont", fit(distance ~ age * Sex + (age | Subject), orthodont), growth, few),
  values_of("sleepstudy", fit(Reaction ~ Days + (Days | Subject), sleep), c("Intercept", "Days"),
            list(both = diag(2))),
  values_of("singular", fit(score ~ year + (year | subject_id), singular), c("Intercept", "year"),
            list(both = diag(2))),
  values_of("singular_uncorrelated", fit(score ~ year + (year || subject_id), singular),
            c("Intercept", "year"), list(both = diag(2))),
  values_of("trial", fit(thalamus_ml ~ year * arm + sex + age_years + (year | subject_id), trial),
            full, list(slopes = unit(8, 7, 8))))
# Counted degrees of freedom: nlme gives the intercept, alone, those within subjects.
counted <- function(model, fixed, data, names) {
  df <- nlme::lme(fixed, random = ~ 1 | subject_id, data)$fixDF$X
  row_of(model, "between_within_df", names[-1], df[-1], "df_numerator")
}
expected <- rbind(expected,
  counted("small", thalamus_ml ~ year * arm, small, two),
  counted("visits", thalamus_ml ~ arm * visit + sex + age_years, visits, cross),
  counted("trial", thalamus_ml ~ year * arm + sex + age_years,
          na.omit(trial[, c("thalamus_ml", "year", "arm", "sex", "age_years", "subject_id")]), full))
write.csv(expected, "expected.csv", row.names = FALSE, quote = TRUE)
write.csv(do.call(rbind, contrasts_file), "contrasts.csv", row.names = FALSE, quote = TRUE)
