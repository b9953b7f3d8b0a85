# Shrout and Fleiss (1979), table 2: six targets, four judges. lme4 by REML, which is the analysis of
# variance where data are balanced and no variance is zero; and again with five ratings left out.
suppressMessages(library(lme4))
if (!file.exists("input.csv")) {
  x <- matrix(c(9,2,5,8, 6,1,3,2, 8,4,6,8, 7,1,2,6, 10,5,6,9, 6,2,4,7), 6, byrow = TRUE)
  write.csv(data.frame(subject_id = paste0("T", rep(1:6, each = 4)), judge = rep(1:4, 6),
                       rating = as.vector(t(x))), "input.csv", row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv")
tight <- lmerControl(optimizer = "nloptwrap", optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14, maxeval = 1e5))
parts <- function(fit) { v <- as.data.frame(VarCorr(fit)); setNames(v$vcov, v$grp) }
one <- parts(lmer(rating ~ 1 + (1 | subject_id), d, control = tight))
two <- parts(lmer(rating ~ 1 + (1 | subject_id) + (1 | judge), d, control = tight))
why <- "balanced: REML is the analysis of variance; maximised to about 1e-7"
row <- function(quantity, value, rtol = 1e-5, note = why)
  data.frame(quantity, term = "rating", value = sprintf("%.15g", value), rtol, why = note)
published <- "printed with two decimals in Shrout and Fleiss 1979"
out <- rbind(
  row("within_sd", sqrt(one[["Residual"]])), row("between_sd", sqrt(one[["subject_id"]])),
  row("icc_1_1", one[["subject_id"]] / sum(one)),
  row("icc_a_1", two[["subject_id"]] / sum(two)),
  row("icc_c_1", two[["subject_id"]] / (two[["subject_id"]] + two[["Residual"]])),
  row("published.icc_1_1", 0.17, 0.03, published), row("published.icc_a_1", 0.29, 0.018, published),
  row("published.icc_c_1", 0.71, 0.008, published))
write.csv(out, "expected.csv", row.names = FALSE)
