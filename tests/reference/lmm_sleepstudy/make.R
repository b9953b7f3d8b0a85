# Reaction times under sleep deprivation (Belenky et al. 2003), as shipped with lme4.
source("../lmm_tools.R")
if (!file.exists("input.csv")) {
  data(sleepstudy, package = "lme4")
  write.csv(sleepstudy, "input.csv", row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv"); d$Subject <- factor(d$Subject)
fixed <- c("Intercept", "Days"); both <- c("intercept", "Days")
fit <- function(formula, ...) lmer(formula, d, control = TIGHT, ...)
write_expected(
  values_of("reml", fit(Reaction ~ Days + (Days | Subject)), fixed, both, time = "Days"),
  values_of("ml", fit(Reaction ~ Days + (Days | Subject), REML = FALSE), fixed, both, time = "Days"),
  values_of("uncorrelated", fit(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)), fixed, both),
  values_of("intercept", fit(Reaction ~ Days + (1 | Subject)), fixed, "intercept"),
  values_of("slope", fit(Reaction ~ Days + (0 + Days | Subject)), fixed, "Days"))
