# Rscript make.R, in the folder of this case; writes expected.csv
suppressMessages(library(rpact))
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity, term, value = sprintf("%.15g", value), rtol, why))
}
kind <- function(sides) if (sides == 2) "two.sided" else "one.sided"
# Chi-square variable divided by its degrees of freedom: where its mass lies.
span <- function(df) qchisq(c(1e-13, 1 - 1e-13), df)
# Welch's test: normal difference, both sample variances integrated out one after the other.
welch <- function(r) {
  n <- c(r$n_reference, r$n_treated); v <- c(r$sd_reference, r$sd_treated)^2; nu <- n - 1
  se <- sqrt(sum(v / n))
  inner <- function(q1) vapply(q1, function(a) integrate(function(b) {
    e1 <- v[1] * a / nu[1] / n[1]; e2 <- v[2] * b / nu[2] / n[2]
    df <- (e1 + e2)^2 / (e1^2 / nu[1] + e2^2 / nu[2])
    k <- qt(1 - r$alpha / r$sides, df) * sqrt(e1 + e2)
    p <- pnorm((r$effect - k) / se) + (r$sides == 2) * pnorm((-r$effect - k) / se)
    p * dchisq(b, nu[2])
  }, span(nu[2])[1], span(nu[2])[2], rel.tol = 1e-11, subdivisions = 2000)$value, 0)
  integrate(function(a) inner(a) * dchisq(a, nu[1]), span(nu[1])[1], span(nu[1])[2],
            rel.tol = 1e-10, subdivisions = 2000)$value
}
# Analysis of covariance: given the baselines, an ordinary regression with known design; the
# difference of the mean baselines and their sum of squares within arms are integrated out.
ancova <- function(r) {
  n <- c(r$n_reference, r$n_treated); N <- sum(n); w <- sum(1 / n)
  sigma <- r$sd_reference * sqrt(1 - r$correlation^2)
  k <- qt(1 - r$alpha / r$sides, N - 3)
  power <- function(gap, S) {
    ncp <- r$effect / (sigma * sqrt(w + gap^2 / S))
    pt(k, N - 3, ncp, lower.tail = FALSE) +
      (r$sides == 2) * pt(k, N - 3, -ncp, lower.tail = FALSE)
  }
  inner <- function(S) vapply(S, function(s) 2 * integrate(function(z)
    power(z * sqrt(w), s) * dnorm(z), 0, 8.5, rel.tol = 1e-10)$value, 0)
  integrate(function(S) inner(S) * dchisq(S, N - 2), span(N - 2)[1], span(N - 2)[2],
            rel.tol = 1e-9, subdivisions = 2000)$value
}
for (i in seq_len(nrow(d))) {
  r <- d[i, ]; ratio <- r$n_treated / r$n_reference
  equal <- r$sd_reference == r$sd_treated
  if (equal && ratio == 1) {
    put("t.power", r$term, power.t.test(n = r$n_reference, delta = r$effect, sd = r$sd_reference,
      sig.level = r$alpha, alternative = kind(r$sides), strict = TRUE)$power, 1e-8,
      "noncentral t by AS 243 in R, by Boost in SciPy")
    put("t.n", r$term, 2 * power.t.test(delta = r$effect, sd = r$sd_reference, power = r$power,
      sig.level = r$alpha, alternative = kind(r$sides), strict = TRUE, tol = 1e-11)$n, 1e-7,
      "root of the same equation, by uniroot")
    put("t.effect", r$term, power.t.test(n = r$n_reference, sd = r$sd_reference, power = r$power,
      sig.level = r$alpha, alternative = kind(r$sides), strict = TRUE, tol = 1e-11)$delta, 1e-7,
      "root of the same equation, by uniroot")
  }
  if (equal) {
    put("ancova.power", r$term, ancova(r), 1e-7, "nested adaptive quadrature in R")
  } else {
    put("welch.power", r$term, welch(r), 1e-7, "nested adaptive quadrature in R")
  }
  plan <- function(normal) getSampleSizeMeans(alternative = r$effect, stDev = r$sd_reference,
    alpha = r$alpha, beta = 1 - r$power, sided = r$sides, normalApproximation = normal,
    allocationRatioPlanned = 2)$nFixed
  put("rpact.z.n", r$term, plan(TRUE), 1e-8, "closed form, one tail")
  put("rpact.t.n", r$term, plan(FALSE), 1e-4 / plan(FALSE), "one tail; rpact finds the root to 1e-4 subjects")
}
write.csv(out, "expected.csv", row.names = FALSE)
