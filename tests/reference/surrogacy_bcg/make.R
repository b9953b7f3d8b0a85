# Rscript make.R, in the folder of this case; writes input.csv (once) and expected.csv
library(metafor)
if (!file.exists("input.csv")) {
  d <- dat.colditz1994
  v <- escalc(measure = "PLO", xi = tpos, mi = tneg, data = d)
  u <- escalc(measure = "PLO", xi = cpos, mi = cneg, data = d)
  write.csv(data.frame(trial_id = paste0("T", d$trial), n = d$tpos + d$tneg + d$cpos + d$cneg,
                       control = sprintf("%.17g", u$yi), control_error = sprintf("%.17g", sqrt(u$vi)),
                       vaccinated = sprintf("%.17g", v$yi),
                       vaccinated_error = sprintf("%.17g", sqrt(v$vi))),
            "input.csv", row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv")
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
long <- data.frame(trial = rep(d$trial_id, 2), arm = rep(c("c", "v"), each = nrow(d)),
                   yi = c(d$control, d$vaccinated),
                   vi = c(d$control_error, d$vaccinated_error)^2)
same <- "same likelihood; metafor's optimiser stops at about 1e-6"
for (method in c("REML", "ML")) {
  for (rho in c(0, 0.4)) {
    name <- paste0("bivariate.", method, ".", rho)
    V <- diag(long$vi)
    n <- nrow(d)
    for (i in 1:n) V[i, n + i] <- V[n + i, i] <- rho * sqrt(V[i, i] * V[n + i, n + i])
    m <- rma.mv(yi, V, mods = ~ arm - 1, random = ~ arm | trial, struct = "UN", data = long,
                method = method, control = list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15))
    D <- m$G
    put(paste0(name, ".mean"), c("c", "v"), coef(m), 1e-5, same)
    put(paste0(name, ".mean_error"), c("c", "v"), m$se, 1e-4, same)
    put(paste0(name, ".D"), c("cc", "cv", "vv"), c(D[1, 1], D[1, 2], D[2, 2]), 1e-4, same)
    put(paste0(name, ".r2"), "r2", D[1, 2]^2 / (D[1, 1] * D[2, 2]), 1e-4, same)
    put(paste0(name, ".slope"), "slope", D[1, 2] / D[1, 1], 1e-4, same)
    put(paste0(name, ".loglik"), "loglik", as.numeric(logLik(m)), 1e-6, same)
  }
}
u <- rma(vaccinated, sei = vaccinated_error, mods = ~ control, data = d, test = "knha",
         control = list(threshold = 1e-12, maxiter = 1000))
u0 <- rma(vaccinated, sei = vaccinated_error, data = d,
          control = list(threshold = 1e-12, maxiter = 1000))
put("regression.estimate", c("intercept", "slope"), coef(u), 1e-6, same)
put("regression.std_error", c("intercept", "slope"), u$se, 1e-6, "Knapp and Hartung")
put("regression.tau2", c("line", "none"), c(u$tau2, u0$tau2), 1e-6, same)
put("regression.Q", c("line", "none"), c(u$QE, u0$QE), 1e-8, "a sum of squares")
put("regression.r2", "r2", max(0, 1 - u$tau2 / u0$tau2), 1e-6, same)
p <- predict(u, newmods = c(-5, -3, 0))
put("regression.predicted", c(-5, -3, 0), p$pred, 1e-6, same)
put("regression.band_low", c(-5, -3, 0), p$pi.lb, 1e-6, "t with the residual df")
put("regression.band_high", c(-5, -3, 0), p$pi.ub, 1e-6, "t with the residual df")
for (w in c("n", "equal", "precision")) {
  d$w <- switch(w, n = d$n, equal = rep(1, nrow(d)), precision = 1 / d$vaccinated_error^2)
  l <- lm(vaccinated ~ control, d, weights = w)
  put(paste0("wls.", w, ".estimate"), c("intercept", "slope"), coef(l), 1e-9, "least squares")
  put(paste0("wls.", w, ".slope_error"), "slope", summary(l)$coefficients[2, 2], 1e-9, "same")
  put(paste0("wls.", w, ".r2"), "r2", summary(l)$r.squared, 1e-9, "least squares")
}
published <- "pages 604-605 of van Houwelingen 2002, as quoted by metafor's own tests; three decimals"
put("published.ML.mean", c("c", "v"), c(-4.096, -4.834), 1.5e-4, published)
put("published.ML.variance", c("cc", "vv"), c(2.407, 1.431), 4e-4, published)
put("published.ML.correlation", "cv", 0.947, 6e-4, published)
write.csv(out, "expected.csv", row.names = FALSE)
