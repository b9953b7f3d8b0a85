# Rscript make.R, in the folder of this case; writes expected.csv
# The likelihood of Royston and Parmar (2002) written out, with R's optim: no code of a package.
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
X <- cbind(d$age_years - mean(d$age_years), d$active)
pos <- function(x) pmax(x, 0)
basis <- function(x, k, slope = FALSE) {
  n <- length(k)
  cubic <- if (slope) function(x, k) 3 * pos(x - k)^2 else function(x, k) pos(x - k)^3
  first <- if (slope) cbind(0, rep(1, length(x))) else cbind(1, x)
  if (n == 2) return(first)
  inner <- sapply(k[2:(n - 1)], function(kj) {
    l <- (k[n] - kj) / (k[n] - k[1])
    cubic(x, kj) - l * cubic(x, k[1]) - (1 - l) * cubic(x, k[n])
  })
  cbind(first, inner)
}
climb <- function(g, start) {
  f <- function(p) {
    value <- g(p)
    if (is.finite(value)) value else -1e10
  }
  start <- optim(start, f, control = list(maxit = 20000, fnscale = -1))$par
  for (i in 1:8) {
    fit <- optim(start, f, method = "BFGS", control = list(maxit = 2000, reltol = 1e-15, fnscale = -1))
    fit2 <- optim(fit$par, f, control = list(maxit = 20000, reltol = 1e-15, fnscale = -1))
    start <- fit2$par
  }
  fit2
}
report <- function(name, fit, m) {
  put(paste0(name, ".log_likelihood"), "model", fit$value, 1e-8, "optim of the written-out likelihood")
  put(paste0(name, ".estimate"), c("age_years", "active"), fit$par[m + 1:2], 2e-4,
      "optim stops where its log-likelihood no longer rises: 1e-3 standard errors")
}
x <- log(d$duration)
for (df in 1:4) {
  k <- quantile(x[d$event == 1], seq(0, 1, length.out = df + 1))
  m <- df + 1
  f <- function(p) {
    eta <- basis(x, k) %*% p[1:m] + X %*% p[m + 1:2]
    pace <- basis(x, k, TRUE) %*% p[1:m]
    if (any(pace[d$event == 1] <= 0)) return(-1e10)
    sum((eta + log(pmax(pace, 1e-300)) - x)[d$event == 1]) - sum(exp(eta))
  }
  report(paste0("right.df", df), climb(f, c(-2, 1.2, rep(0, df - 1), 0, 0)), m)
}
# interval censoring and delayed entry, 2 df
low <- pmax(d$lower, d$entry)
up <- ifelse(is.na(d$upper), Inf, d$upper)
seen <- is.finite(up)
k <- quantile(log((low + up)[seen] / 2), c(0, 0.5, 1))
H <- function(t, p) {
  v <- exp(basis(log(pmax(t, 1e-300)), k) %*% p[1:3] + X %*% p[4:5])
  ifelse(t == 0, 0, ifelse(is.infinite(t), Inf, v))
}
f <- function(p) {
  exact <- low == up
  pace <- basis(log(pmax(low, 1e-300)), k, TRUE) %*% p[1:3]
  if (any(pace[exact] <= 0)) return(-1e10)
  event <- log(H(low, p)) + log(pmax(pace, 1e-300)) - log(low) - H(low, p)
  between <- log(pmax(exp(-H(low, p)) - exp(-H(up, p)), 1e-300))
  sum(ifelse(exact, event, between)) + sum(H(d$entry, p))
}
report("interval.df2", climb(f, c(-2, 1.2, 0, 0, 0)), 3)
write.csv(out, "expected.csv", row.names = FALSE)
