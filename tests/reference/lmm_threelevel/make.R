# Visits in subjects in sites.
source("../lmm_grouped_tools.R")
d <- read.csv("input.csv")
d$arm <- factor(d$arm, levels = c("placebo", "active"))
names <- c("Intercept", "year", "arm[T.active]", "year:arm[T.active]")
groups <- c("site_id:subject_no" = "site_id:subject_no", "subject_no:site_id" = "site_id:subject_no",
            site_id = "site_id")
effects <- c("(Intercept)" = "intercept", year = "year")
fit <- function(formula, ...) lmer(formula, d, control = TIGHT, ...)
slopes <- thalamus_ml ~ year * arm + (year | site_id:subject_no) + (1 | site_id)
write_expected(
  grouped_values("reml", fit(slopes), names, groups, effects),
  grouped_values("ml", fit(slopes, REML = FALSE), names, groups, effects, kr = NULL),
  grouped_values("slash", fit(thalamus_ml ~ year * arm + (1 | site_id / subject_no)), names, groups, effects))
