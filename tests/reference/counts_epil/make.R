# Seizure counts (Thall and Vail 1990), four visits each: glm.nb with errors clustered by patient.
suppressMessages({library(MASS); library(sandwich); library(clubSandwich)})
if (!file.exists("input.csv")) {
  data(epil, package = "MASS")
  e <- epil[, c("y", "trt", "base", "age", "V4", "subject", "period")]
  names(e)[c(1, 6)] <- c("seizures", "subject_id")
  write.csv(e, "input.csv", row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv"); d$trt <- factor(d$trt, levels = c("placebo", "progabide"))
fit <- glm.nb(seizures ~ trt + log(base) + V4, data = d, control = glm.control(epsilon = 1e-14, maxit = 200))
terms <- sub("(Intercept)", "Intercept", sub("trtprogabide", "trt[T.progabide]", names(coef(fit))), fixed = TRUE)
row <- function(quantity, value, rtol, why) data.frame(quantity, term = terms, value, rtol, why)
G <- length(unique(d$subject_id))
cr0 <- vcovCL(fit, cluster = ~subject_id, type = "HC0", cadjust = FALSE)
poisson <- glm(seizures ~ trt + log(base) + V4, family = poisson, data = d, control = glm.control(epsilon = 1e-14))
out <- rbind(
  row("estimate", coef(fit), 1e-6, "same likelihood"),
  row("std_error", sqrt(diag(vcov(fit))), 1e-6, "expected information"),
  row("cr0", sqrt(diag(cr0)), 1e-6, "sandwich of scores by subject"),
  row("cr1", sqrt(diag(cr0) * G / (G - 1)), 1e-6, "factor G / (G - 1)"),
  row("poisson_cr3", sqrt(diag(as.matrix(vcovCR(poisson, cluster = d$subject_id, type = "CR3")))), 1e-6,
      "GEE with working independence: clubSandwich CR3 is Mancl and DeRouen's"),
  data.frame(quantity = "dispersion", term = "alpha", value = 1 / fit$theta, rtol = 1e-5, why = "flat direction"))
write.csv(out, "expected.csv", row.names = FALSE)
