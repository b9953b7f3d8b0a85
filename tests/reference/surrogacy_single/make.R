# Rscript make.R, in the folder of this case; writes expected.csv
library(survival)
library(timereg)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
d$z <- as.numeric(d$arm == "active")
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
exact <- "same estimator, both to machine precision"
influence_of <- function(m) {
  if (inherits(m, "coxph")) return(as.matrix(residuals(m, "dfbeta"))[, 1])
  X <- model.matrix(m)
  w <- if (inherits(m, "glm")) m$fitted.values * (1 - m$fitted.values) else rep(1, nrow(X))
  e <- if (inherits(m, "glm")) m$y - m$fitted.values else resid(m)
  ((X * e) %*% solve(crossprod(X * sqrt(w))))[, 2]
}
fieller <- function(a, b, va, vb, cab, q) {   # by search along a fine grid of roots
  f <- function(r) (a - r * b)^2 - q^2 * (va - 2 * r * cab + r^2 * vb)
  c(uniroot(f, c(-20, a / b), tol = 1e-13)$root, uniroot(f, c(a / b, 20), tol = 1e-13)$root)
}
for (kind in c("continuous", "binary", "survival", "adjusted")) {
  fit <- function(rhs) switch(kind,
    continuous = lm(as.formula(paste("change ~", rhs)), d),
    binary = glm(as.formula(paste("worse ~", rhs)), d, family = binomial,
                 control = list(epsilon = 1e-14, maxit = 100)),
    survival = coxph(as.formula(paste("Surv(year, event) ~", rhs)), d, control = tight),
    adjusted = lm(as.formula(paste("change ~", rhs, "+ age_years")), d))
  total <- fit("z"); marker <- fit("slope"); direct <- fit("z + slope")
  at <- if (kind == "survival") 1 else 2
  b <- coef(total)[at]; a <- coef(direct)[at]
  vb <- vcov(total)[at, at]; va <- vcov(direct)[at, at]
  u <- influence_of(direct); v <- influence_of(total)
  r <- sum(u * v) / sqrt(sum(u^2) * sum(v^2))
  put(paste0(kind, ".estimate"), 2:4, c(b, coef(marker)[at], a), 1e-7, exact)
  put(paste0(kind, ".std_error"), 2:4, sqrt(c(vb, vcov(marker)[at, at], va)), 1e-6, exact)
  put(paste0(kind, ".correlation"), "r", r, 1e-6, "cross-product of influence functions")
  q <- if (inherits(direct, "lm") && !inherits(direct, "glm")) qt(0.975, direct$df.residual) else
    qnorm(0.975)
  ends <- tryCatch(fieller(a, b, va, vb, r * sqrt(va * vb), q), error = function(e) c(NA, NA))
  put(paste0(kind, ".pte"), c("estimate", "low", "high"), c(1 - a / b, 1 - rev(ends)), 1e-6,
      "Fieller by root finding; NA where the set is unbounded")
}
s1 <- coxph(Surv(year, event) ~ slope + strata(arm), d, control = tight)
put("survival.r2_individual", "r2", 1 - exp(-2 * diff(s1$loglik) / sum(d$event)), 1e-7, exact)
g0 <- glm(worse ~ z, binomial, d); g1 <- glm(worse ~ z + slope, binomial, d)
put("binary.r2_individual", "r2", 1 - exp(-(deviance(g0) - deviance(g1)) / nrow(d)), 1e-7, exact)
r0 <- lm(cbind(change, slope) ~ z, d)
put("continuous.r2_individual", "r2", cor(resid(r0))[1, 2]^2, 1e-9, exact)

m <- lm(slope ~ z + age_years, d); y <- lm(change ~ z + slope + age_years, d)
put("mediation.linear", c("direct", "indirect", "total"),
    c(coef(y)["z"], coef(m)["z"] * coef(y)["slope"],
      coef(lm(change ~ z + age_years, d))["z"]), 1e-8, "product and difference agree")
i <- lm(change ~ z * slope + age_years, d)
m0 <- predict(m, data.frame(z = 0, age_years = mean(d$age_years)))
put("mediation.interaction", c("direct", "indirect"),
    c(coef(i)["z"] + coef(i)["z:slope"] * m0,
      (coef(i)["slope"] + coef(i)["z:slope"]) * coef(m)["z"]), 1e-8, "Valeri and VanderWeele")
# timereg integrates over time by steps from event to event, which is exact where nobody is
# censored in between, up to the stretch after the last event: hence the columns without censoring
# before the end, ended here with the last event
e <- d
last <- max(e$exact_year[e$exact_event == 1])
e$exact_year <- pmin(e$exact_year, last)
f <- aalen(Surv(exact_year, exact_event) ~ const(z) + const(slope), e, n.sim = 0, max.time = last)
put("additive", c("z", "slope"), f$gamma[, 1], 1e-6, "same equations")
put("additive_error", c("z", "slope"), sqrt(diag(f$var.gamma)), 1e-6, "martingale variance")
write.csv(out, "expected.csv", row.names = FALSE)
