# Rscript make.R path/to/pbc2.csv, in the folder of this case; writes expected.csv
suppressMessages({library(survival); library(lme4); library(riskRegression)})
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = FALSE)
d <- d[order(d$id, d$year), ]
d$drug <- factor(d$drug, levels = sort(unique(d$drug)))
s <- d[!duplicated(d$id), c("id", "years", "status2", "age", "drug")]
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
t0 <- 3; u <- 5
risk_set <- s[s$years > t0, ]
h <- d[d$id %in% risk_set$id & d$year <= t0, ]
surv <- function(fit, new, from) {
  at <- summary(survfit(fit, newdata = new), times = c(from, u), extend = TRUE)$surv
  as.numeric(at[2, ] / at[1, ])
}
baseline <- coxph(Surv(years, status2) ~ age + drug, s, control = tight)
last <- h[!duplicated(h$id, fromLast = TRUE), c("id", "serBilir")]
w <- merge(risk_set, last, by = "id")
w$event <- w$status2 == 1 & w$years <= u; w$end <- pmin(w$years, u)
landmark <- coxph(Surv(end, event) ~ log(serBilir) + age + drug, w, control = tight)
mixed <- lmer(log(serBilir) ~ year * drug + (year | id), h, control = lmerControl(
  optimizer = "nloptwrap", optCtrl = list(xtol_abs = 1e-12, xtol_rel = 1e-12, ftol_abs = 1e-14,
                                          ftol_rel = 1e-15, maxeval = 1e5)))
w$truth <- as.numeric(predict(mixed, newdata = data.frame(id = w$id, year = t0, drug = w$drug)))
twostage <- coxph(Surv(end, event) ~ truth + age + drug, w, control = tight)
p <- list(baseline = surv(baseline, w, t0), landmark = surv(landmark, w, t0), twostage = surv(twostage, w, t0))
for (m in names(p)) for (i in seq(1, nrow(w), by = 7))
  put(paste0(m, ".survival"), w$id[i], p[[m]][i], if (m == "twostage") 1e-5 else 1e-7,
      if (m == "twostage") "lmer, and then everything after it, to about 1e-6" else "both maximised to machine precision")
sc <- Score(lapply(p, function(x) 1 - x), formula = Surv(years, status2) ~ 1, data = w, times = u,
            metrics = c("auc", "brier"), null.model = FALSE, se.fit = TRUE, conservative = FALSE, cens.model = "km")
put("auc", sc$AUC$score$model, sc$AUC$score$AUC, 1e-6, "ranks and weights; ties of predictions may break")
put("auc_std_error", sc$AUC$score$model, sc$AUC$score$se, 1e-3, "influence functions")
put("brier", sc$Brier$score$model, sc$Brier$score$Brier, 1e-5, "follows the predictions")
put("n", "at risk", nrow(w), 1e-12, "a count")
write.csv(out, "expected.csv", row.names = FALSE)
