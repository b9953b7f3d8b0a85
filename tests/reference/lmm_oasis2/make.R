# Whole-brain volume in OASIS-2. Usage: Rscript make.R path/to/oasis2_longitudinal.csv
source("../lmm_tools.R")
d <- read.csv(commandArgs(TRUE)[1])
d$year <- d$MR.Delay / 365.25
d$Group <- factor(d$Group, levels = intersect(c("Nondemented", "Converted", "Demented"), d$Group))
fit <- lmer(nWBV ~ year * Group + (year | Subject.ID), d, control = TIGHT)
levels <- levels(d$Group)[-1]
names <- c("Intercept", "year", sprintf("Group[T.%s]", levels), sprintf("year:Group[T.%s]", levels))
write_expected(values_of("reml", fit, names, c("intercept", "year"), by = "Group", time = "year"))
