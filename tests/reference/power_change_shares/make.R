# Rscript make.R, in the folder of this case; writes expected.csv
suppressMessages(library(rpact))
d <- read.csv("input.csv", stringsAsFactors = FALSE)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity, term, value = sprintf("%.15g", value), rtol, why))
}
kind <- function(sides) if (sides == 2) "two.sided" else "one.sided"
# All tables of both arms, each tested by fisher.test.
fisher <- function(r) {
  side <- if (r$sides == 2) "two.sided" else if (r$treated < r$reference) "less" else "greater"
  total <- 0
  for (a in 0:r$n_reference) for (b in 0:r$n_treated) {
    m <- matrix(c(b, r$n_treated - b, a, r$n_reference - a), 2)
    if (fisher.test(m, alternative = side, conf.int = FALSE)$p.value <= r$alpha)
      total <- total + dbinom(a, r$n_reference, r$reference) * dbinom(b, r$n_treated, r$treated)
  }
  total
}
for (i in seq_len(nrow(d))) {
  r <- d[i, ]
  if (r$n_reference <= 20) {
    put("fisher.power", r$term, fisher(r), 1e-8, "counts of probability below 1e-11 are left out")
    next
  }
  put("pooled.power", r$term, power.prop.test(n = r$n_reference, p1 = r$reference, p2 = r$treated,
    sig.level = r$alpha, alternative = kind(r$sides), strict = TRUE)$power, 1e-10,
    "the same formula")
  put("pooled.n", r$term, 2 * power.prop.test(p1 = r$reference, p2 = r$treated, power = r$power,
    sig.level = r$alpha, alternative = kind(r$sides), strict = TRUE, tol = 1e-10)$n, 1e-7,
    "root of the same equation, by uniroot")
  put("rpact.n", r$term, getSampleSizeRates(pi1 = r$treated, pi2 = r$reference, alpha = r$alpha,
    beta = 1 - r$power, sided = r$sides, allocationRatioPlanned = 2)$nFixed, 1e-8, "closed form, one tail")
}
write.csv(out, "expected.csv", row.names = FALSE)
