# MSFC and annual change from input.csv, written from the formulas, in base R.
d <- read.csv("input.csv", colClasses = c(t25fw_trial1_s = "character", t25fw_trial2_s = "character",
  nhpt_dominant_trial1_s = "character", nhpt_dominant_trial2_s = "character",
  nhpt_nondominant_trial1_s = "character", nhpt_nondominant_trial2_s = "character"))
d <- d[order(d$subject_id, d$day), ]
read_trial <- function(x, failure) { y <- suppressWarnings(as.numeric(x)); y[x == "unable"] <- failure; y }
test <- function(stem, failure) rowMeans(cbind(
  read_trial(d[[paste0(stem, "_trial1_s")]], failure),
  read_trial(d[[paste0(stem, "_trial2_s")]], failure)), na.rm = TRUE)
out <- NULL
add <- function(quantity, term, value) out <<- rbind(out, data.frame(quantity = quantity, term = term,
  value = value, rtol = 1e-10, why = "same formula, double precision"))
visit <- paste(d$subject_id, d$day, sep = "/")
base <- d$day == 0
for (convention in c("time_limit", "msfc_manual")) {
  walk <- test("t25fw", if (convention == "time_limit") 180 else 165.7948)
  fail <- if (convention == "time_limit") 300 else 777
  dom <- test("nhpt_dominant", fail); non <- test("nhpt_nondominant", fail)
  arm <- (1 / dom + 1 / non) / 2
  add(paste0(convention, "_t25fw_s"), visit, walk)
  add(paste0(convention, "_nhpt_s"), visit, (dom + non) / 2)
  z <- function(x, m = mean(x[base], na.rm = TRUE), s = sd(x[base], na.rm = TRUE)) (x - m) / s
  leg_b <- -z(walk); arm_b <- z(arm)
  add(paste0(convention, "_baseline_leg_z"), visit, leg_b)
  add(paste0(convention, "_baseline_arm_z"), visit, arm_b)
  add(paste0(convention, "_baseline_msfc3"), visit, (leg_b + arm_b + z(d$pasat3)) / 3)
  add(paste0(convention, "_baseline_msfc4_sdmt"), visit,
      (leg_b + arm_b + z(d$sdmt) + z(d$lcla_letters)) / 4)
  add(paste0(convention, "_task_force_msfc3"), visit,
      (-z(walk, 9.5353, 11.4058) + z(arm, 0.0439, 0.0101) + z(d$pasat3, 45.0311, 12.0771)) / 3)
}
start <- d$brain_ml[base][match(d$subject_id, d$subject_id[base])]
years <- d$day / 365.25
later <- !base
add("percent_linear", visit[later], (100 * (d$brain_ml - start) / start / years)[later])
add("percent_compound", visit[later], (100 * ((d$brain_ml / start)^(1 / years) - 1))[later])
write.csv(out, "expected.csv", row.names = FALSE, na = "NA")
cat(R.version.string, "\n")
