# Three arms, unequal follow-up, missing values, a covariate of each kind.
source("../lmm_tools.R")
d <- read.csv("input.csv")
d$arm <- factor(d$arm, levels = c("placebo", "low", "high")); d$sex <- factor(d$sex)
slopes <- c("intercept", "year")
names <- c("Intercept", "year", "arm[T.low]", "arm[T.high]", "sex[T.M]", "age_years",
           "year:arm[T.low]", "year:arm[T.high]")
full <- thalamus_ml ~ year * arm + sex + age_years + (year | subject_id)
origin <- thalamus_ml ~ 0 + year + year:arm + (0 + year | subject_id)
d0 <- d[!is.na(d$thalamus_ml), ]
d0$change <- d0$thalamus_ml - ave(d0$thalamus_ml, d0$subject_id, FUN = function(v) v[1])
fit <- function(formula, data = d, ...) lmer(formula, data, control = TIGHT, ...)
write_expected(
  values_of("reml", fit(full), names, slopes, by = "arm", time = "year"),
  values_of("ml", fit(full, REML = FALSE), names, slopes, by = "arm", time = "year"),
  values_of("common", fit(thalamus_ml ~ year + arm + (year | subject_id)),
            c("Intercept", "year", "arm[T.low]", "arm[T.high]"), slopes, time = "year"),
  values_of("log", fit(log(thalamus_ml) ~ year * arm + (year | subject_id)),
            c("Intercept", "year", "arm[T.low]", "arm[T.high]", "year:arm[T.low]",
              "year:arm[T.high]"), slopes),
  values_of("square", fit(thalamus_ml ~ year + I(year^2) + log(age_years) + (1 | subject_id)),
            c("Intercept", "year", "year ** 2", "log(age_years)"), "intercept"))
