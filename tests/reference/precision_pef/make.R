# Bland and Altman (1986), table: peak expiratory flow of 17 people, twice by each of two meters.
suppressMessages(library(lme4))
if (!file.exists("input.csv")) {
  wright <- c(494,395,516,434,476,557,413,442,650,433,417,656,267,478,178,423,427,
              490,397,512,401,470,611,415,431,638,429,420,633,275,492,165,372,421)
  mini <- c(512,430,520,428,500,600,364,380,658,445,432,626,260,477,259,350,451,
            525,415,508,444,500,625,460,390,642,432,420,605,227,467,268,370,443)
  write.csv(data.frame(subject_id = paste0("P", rep(1:17, 2)), occasion = rep(1:2, each = 17),
                       wright_l_min = wright, mini_l_min = mini), "input.csv", row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv"); first <- d[d$occasion == 1, ]
tight <- lmerControl(optimizer = "nloptwrap", optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14, maxeval = 1e5))
parts <- function(formula, data) { v <- as.data.frame(VarCorr(lmer(formula, data, control = tight))); setNames(v$vcov, v$grp) }
row <- function(quantity, term, value, rtol, why)
  data.frame(quantity, term, value = sprintf("%.15g", value), rtol, why)
reml <- "balanced: REML is the analysis of variance; maximised to about 1e-7"
base <- "closed form by base R"; difference <- first$wright_l_min - first$mini_l_min
test <- t.test(difference)
out <- NULL
for (m in c("wright_l_min", "mini_l_min")) {
  v <- parts(as.formula(paste(m, "~ 1 + (1 | subject_id)")), d)
  out <- rbind(out, row("within_sd", m, sqrt(v[["Residual"]]), 1e-5, reml),
               row("icc_1_1", m, v[["subject_id"]] / sum(v), 1e-5, reml))
}
d$difference <- d$wright_l_min - d$mini_l_min
v <- parts(difference ~ 1 + (1 | subject_id), d)
# Exact interval of the upper limit: noncentral t (Carkeet 2015), for the first pair of each person.
n <- length(difference); k <- qt(c(0.025, 0.975), n - 1, ncp = qnorm(0.975) * sqrt(n)) / sqrt(n)
out <- rbind(out,
  row("published.within_sd", "wright_l_min", 15.3, 0.0033, "printed with one decimal in Bland and Altman 1986"),
  row("published.within_sd", "mini_l_min", 19.9, 0.0026, "printed with one decimal in Bland and Altman 1986"),
  row("published.agreement", "bias", -2.1, 0.024, "printed with one decimal in Bland and Altman 1986"),
  row("published.agreement", "sd", 38.8, 0.0013, "printed with one decimal in Bland and Altman 1986"),
  row("agreement", "bias", mean(difference), 1e-12, base), row("agreement", "bias_low", test$conf.int[1], 1e-10, base),
  row("agreement", "bias_high", test$conf.int[2], 1e-10, base), row("agreement", "sd", sd(difference), 1e-12, base),
  row("agreement", "upper", mean(difference) + qnorm(0.975) * sd(difference), 1e-10, base),
  row("agreement", "upper_low", mean(difference) + k[1] * sd(difference), 1e-6, "noncentral t by AS 243 in R, by Boost in SciPy"),
  row("agreement", "upper_high", mean(difference) + k[2] * sd(difference), 1e-6, "noncentral t by AS 243 in R, by Boost in SciPy"),
  row("repeated", "bias", mean(d$difference), 1e-12, base), row("repeated", "sd", sqrt(sum(v)), 1e-5, reml))
write.csv(out, "expected.csv", row.names = FALSE)
