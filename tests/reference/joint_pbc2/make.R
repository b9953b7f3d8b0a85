# Rscript make.R path/to/pbc2.csv; needs package JM (CRAN). Prints the values of expected.csv.
library(JM)
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = TRUE)
d.id <- d[!duplicated(d$id), ]
d.id$failed <- as.integer(d.id$status != "alive")
markers <- lme(log(serBilir) ~ drug * year, random = ~ year | id, data = d)
events <- coxph(Surv(years, failed) ~ drug + age, data = d.id, x = TRUE)
fit <- jointModel(markers, events, timeVar = "year", method = "weibull-PH-aGH")
print(summary(fit))
print(logLik(fit))
