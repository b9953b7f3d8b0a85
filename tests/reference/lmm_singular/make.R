# No variation of slopes: the maximum lies on the boundary.
source("../lmm_tools.R")
d <- read.csv("input.csv")
fits <- list(
  correlated = lmer(score ~ year + (year | subject_id), d, control = TIGHT),
  uncorrelated = lmer(score ~ year + (year || subject_id), d, control = TIGHT))
stopifnot(sapply(fits, isSingular))
names <- c("Intercept", "year"); both <- c("intercept", "year")
write_expected(values_of("correlated", fits$correlated, names, both),
               values_of("uncorrelated", fits$uncorrelated, names, both))
