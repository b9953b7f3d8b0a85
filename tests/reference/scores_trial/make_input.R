# Made-up trials of timed tests, cognitive scores, letters and brain volumes of 24 patients.
set.seed(20261)
n <- 24; days <- c(0, 181, 372)
d <- expand.grid(day = days, subject_id = sprintf("S%03d", 1:n), stringsAsFactors = FALSE)
d <- d[, c("subject_id", "day")]
slow <- rep(rlnorm(n, 0, 0.5), each = 3)
time <- function(mean) sprintf("%.1f", mean * slow * rlnorm(nrow(d), 0, 0.06))
d$t25fw_trial1_s <- time(6); d$t25fw_trial2_s <- time(6)
d$nhpt_dominant_trial1_s <- time(22); d$nhpt_dominant_trial2_s <- time(22)
d$nhpt_nondominant_trial1_s <- time(25); d$nhpt_nondominant_trial2_s <- time(25)
bad <- sample(nrow(d), 7)
d$t25fw_trial2_s[bad[1:3]] <- "unable"; d$t25fw_trial1_s[bad[1]] <- "unable"
d$nhpt_nondominant_trial1_s[bad[4:5]] <- "unable"; d$nhpt_nondominant_trial2_s[bad[4:5]] <- "unable"
d$t25fw_trial1_s[bad[6]] <- ""; d$nhpt_dominant_trial2_s[bad[7]] <- ""
d$pasat3 <- pmin(60, round(rnorm(nrow(d), 45, 9))); d$sdmt <- round(rnorm(nrow(d), 48, 11))
d$pasat3[5] <- NA; d$sdmt[10] <- NA
d$lcla_letters <- pmin(60, pmax(0, round(rnorm(nrow(d), 30, 10))))
d$brain_ml <- round(rep(rnorm(n, 1450, 60), each = 3) * (1 - 0.006 * d$day / 365.25)
                    + rnorm(nrow(d), 0, 3), 2)
write.csv(d[sample(nrow(d)), ], "input.csv", row.names = FALSE, na = "")
