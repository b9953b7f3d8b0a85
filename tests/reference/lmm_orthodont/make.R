# Dental growth of 27 children (Potthoff and Roy 1964), as shipped with nlme.
source("../lmm_tools.R")
if (!file.exists("input.csv")) {
  data(Orthodont, package = "nlme")
  write.csv(as.data.frame(Orthodont)[c("Subject", "Sex", "age", "distance")], "input.csv",
            row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv"); d$Sex <- factor(d$Sex, levels = c("Female", "Male"))
names <- c("Intercept", "age", "Sex[T.Male]", "age:Sex[T.Male]")
both <- c("intercept", "age")
write_expected(
  values_of("reml", lmer(distance ~ age * Sex + (age | Subject), d, control = TIGHT), names, both,
            by = "Sex", time = "age"),
  values_of("ml", lmer(distance ~ age * Sex + (age | Subject), d, REML = FALSE, control = TIGHT),
            names, both, by = "Sex", time = "age"))
