# An outcome of 1e-4 and time in days, in which lme4 warns and stops early. So it is fitted in units
# of 1e-4 and in years, and the answers are converted to the stored units: exact algebra.
source("../lmm_tools.R")
d <- read.csv("input.csv")
y_unit <- 1e-4; t_unit <- 1 / 365.25
d$scaled <- d$mtr / y_unit; d$year <- d$day * t_unit
rows <- values_of("reml", lmer(scaled ~ year + (year | subject_id), d, control = TIGHT),
                  c("Intercept", "day"), c("intercept", "day"))
value <- as.numeric(rows$value)
n_days <- lengths(regmatches(rows$term, gregexpr("day", rows$term)))
squared <- rows$quantity %in% c("reml.vcov", "reml.variance")
linear <- rows$quantity %in% c("reml.estimate", "reml.std_error", "reml.residual_sd", "reml.blup")
value[squared | linear] <- (value * y_unit * t_unit^n_days)[squared | linear]
value[squared] <- value[squared] * y_unit
# REML: density of n - p error contrasts; log|X'X| changes with the unit of time
is_ll <- rows$quantity == "reml.log_likelihood"
value[is_ll] <- value[is_ll] - (nrow(d) - 2) * log(y_unit) + log(t_unit)
rows$value <- sprintf("%.15g", value)
write_expected(rows)
