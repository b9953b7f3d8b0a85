# Rscript make.R path/to/pbc2.csv, in the folder of this case; writes expected.csv
library(survival)
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
same <- "same likelihood, both maximised to machine precision"
d$bili <- log(d$serBilir)
first <- d[!duplicated(d$id), ]
at <- function(s, horizon, value) {
  risk <- first[first$years > s, ]
  seen <- d[d$year <= s, ]
  risk$bili <- sapply(risk$id, function(i) {
    own <- seen[seen$id == i, ]
    own <- own[order(own$year), ]
    if (value == "last") return(own$bili[nrow(own)])
    if (value == "mean") return(mean(own$bili))
    if (nrow(own) < 2) NA else unname(coef(lm(bili ~ year, own))[2])
  })
  risk <- risk[!is.na(risk$bili), ]
  risk$landmark <- s
  risk$event <- as.integer(risk$status2 == 1 & risk$years <= s + horizon)
  risk$stop <- pmin(risk$years, s + horizon)
  risk
}
for (value in c("last", "slope", "mean")) {
  stacked <- do.call(rbind, lapply(1:4, at, horizon = 3, value = value))
  put(paste0(value, ".n"), c("rows", "events"), c(nrow(stacked), sum(stacked$event)), 0, "a count")
  fit <- coxph(Surv(landmark, stop, event) ~ bili + age + strata(landmark), stacked, cluster = id,
               control = tight)
  put(paste0(value, ".estimate"), c("bili", "age"), coef(fit), 1e-6, same)
  put(paste0(value, ".std_error"), c("bili", "age"), sqrt(diag(vcov(fit))), 1e-5, same)
  two <- coxph(Surv(landmark, stop, event) ~ bili + age, stacked[stacked$landmark == 2, ],
               control = tight)
  put(paste0(value, ".alone"), "2", coef(two)[1], 1e-6, same)
}
stacked <- do.call(rbind, lapply(1:4, at, horizon = 3, value = "last"))
stacked$change <- stacked$bili * stacked$landmark
fit <- coxph(Surv(landmark, stop, event) ~ bili + age + change + strata(landmark), stacked,
             cluster = id, control = tight)
put("interaction.estimate", c("bili", "age", "bili:landmark"), coef(fit), 1e-6, same)
put("interaction.std_error", c("bili", "age", "bili:landmark"), sqrt(diag(vcov(fit))), 1e-5, same)
s <- survfit(fit, data.frame(bili = 1, age = 50, change = 2, landmark = 2))
put("interaction.survival", "2+3", summary(s, times = 5)$surv, 1e-6, "survfit.coxph")
write.csv(out, "expected.csv", row.names = FALSE)
