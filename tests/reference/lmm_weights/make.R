# Precision weights: residual variance sigma^2 / n_slices.
source("../lmm_grouped_tools.R")
d <- read.csv("input.csv")
names <- c("Intercept", "year")
groups <- c(subject_id = "subject_id", scanner = "scanner")
effects <- c("(Intercept)" = "intercept", year = "year")
fit <- function(formula, ...) lmer(formula, d, control = TIGHT, weights = n_slices, ...)
# pbkrtest takes no weights: give it the same model on rows multiplied by the roots of the weights.
w <- sqrt(d$n_slices)
s <- data.frame(y = d$score * w, one = w, year = d$year * w, subject_id = d$subject_id, scanner = d$scanner)
rows <- function(formula) lmer(formula, s, control = TIGHT)
write_expected(
  grouped_values("reml", fit(score ~ year + (year | subject_id)), names, groups, effects,
                 kr = rows(y ~ 0 + one + year + (0 + one + year | subject_id))),
  grouped_values("ml", fit(score ~ year + (year | subject_id), REML = FALSE), names, groups, effects, kr = NULL),
  grouped_values("crossed", fit(score ~ year + (year | subject_id) + (1 | scanner)), names, groups, effects,
                 kr = rows(y ~ 0 + one + year + (0 + one + year | subject_id) + (0 + one | scanner))))
