# Cumulative logit by MASS::polr and ordinal::clm, errors by subject from scores by finite differences.
suppressMessages({library(MASS); library(ordinal); library(numDeriv)})
d <- read.csv("input.csv")
d$arm <- factor(d$arm, levels = c("placebo", "active")); d$y <- factor(d$edss, ordered = TRUE)
form <- y ~ year * arm + age_years
fit <- clm(form, data = d, control = clm.control(gradTol = 1e-12, maxIter = 200L))
polr_fit <- polr(form, data = d, Hess = TRUE, control = list(reltol = 1e-15, maxit = 1000))
stopifnot(max(abs(coef(polr_fit) - fit$beta)) < 1e-4)
theta <- c(fit$alpha, fit$beta); K <- nlevels(d$y)
X <- model.matrix(~ year * arm + age_years, d)[, -1]; colnames(X) <- names(fit$beta)
one <- function(th, i) {
  zeta <- c(-Inf, th[1:(K - 1)], Inf); eta <- sum(X[i, ] * th[-(1:(K - 1))]); k <- as.integer(d$y[i])
  log(plogis(zeta[k + 1] - eta) - plogis(zeta[k] - eta))
}
scores <- t(sapply(seq_len(nrow(d)), function(i) grad(one, theta, i = i)))
total <- rowsum(scores, d$subject_id)
cr0 <- vcov(fit) %*% crossprod(total) %*% vcov(fit)
G <- nrow(total)
name <- function(x) sub("armactive", "arm[T.active]", sub(":", ":", x))
terms <- c(paste("threshold", names(fit$alpha)), name(names(fit$beta)))
row <- function(quantity, value, rtol, why) data.frame(quantity, term = terms, value, rtol, why)
new <- data.frame(year = 1.5, arm = factor("active", levels = levels(d$arm)), age_years = 50)
p <- predict(fit, new, se.fit = TRUE)
out <- rbind(
  row("estimate", theta, 1e-6, "same likelihood, both maximised by Newton steps; relative to 1 where smaller"),
  row("std_error", sqrt(diag(vcov(fit))), 1e-6, "inverse observed information, analytic in both"),
  row("cr0", sqrt(diag(cr0)), 1e-6, "scores by Richardson extrapolation in numDeriv"),
  row("cr1", sqrt(diag(cr0) * G / (G - 1)), 1e-6, "as cr0"),
  data.frame(quantity = "probability", term = levels(d$y), value = as.vector(p$fit), rtol = 1e-6, why = "year 1.5, active, 50 years"),
  data.frame(quantity = "probability_std_error", term = levels(d$y), value = as.vector(p$se.fit), rtol = 1e-5, why = "model-based, delta method"),
  data.frame(quantity = "log_likelihood", term = "model", value = as.numeric(logLik(fit)), rtol = 1e-10, why = "flat at its maximum"))
write.csv(out, "expected.csv", row.names = FALSE)
