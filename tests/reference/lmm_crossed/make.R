# Subjects crossed with scanners, and with readers.
source("../lmm_grouped_tools.R")
d <- read.csv("input.csv")
names <- c("Intercept", "year", "age_years")
groups <- c(subject_id = "subject_id", scanner = "scanner", reader = "reader")
effects <- c("(Intercept)" = "intercept", year = "year")
fit <- function(formula, ...) lmer(formula, d, control = TIGHT, ...)
slopes <- mtr ~ year + age_years + (year | subject_id) + (1 | scanner)
write_expected(
  grouped_values("reml", fit(slopes), names, groups, effects),
  grouped_values("ml", fit(slopes, REML = FALSE), names, groups, effects, kr = NULL),
  grouped_values("three", fit(mtr ~ year + age_years + (1 | subject_id) + (1 | scanner) + (1 | reader)),
                 names, groups, effects))
