# Rscript make.R, in the folder of this case; writes expected.csv
library(nlme)
d <- read.csv("input.csv", stringsAsFactors = FALSE)
d$z <- ifelse(d$arm == "active", 0.5, -0.5)
out <- NULL
put <- function(quantity, term, value, rtol, why) {
  out <<- rbind(out, data.frame(quantity = quantity, term = term,
                                value = sprintf("%.15g", value), rtol = rtol, why = why))
}
long <- rbind(data.frame(d[c("trial_id", "subject_id", "z")], endpoint = "S", y = d$slope),
              data.frame(d[c("trial_id", "subject_id", "z")], endpoint = "T", y = d$worsening))
long <- long[order(long$trial_id, long$subject_id, long$endpoint), ]
long$s <- as.numeric(long$endpoint == "S"); long$t <- 1 - long$s
long$sz <- long$s * long$z; long$tz <- long$t * long$z
control <- lmeControl(maxIter = 500, msMaxIter = 500, tolerance = 1e-10, msTol = 1e-12,
                      niterEM = 100)
same <- "same restricted likelihood; nlme stops about 1e-4 short in variances"
fit <- function(random) lme(y ~ 0 + s + t + sz + tz, long, random = random,
  correlation = corSymm(form = ~ 1 | trial_id / subject_id),
  weights = varIdent(form = ~ 1 | endpoint), method = "REML", control = control)
for (name in c("mixed_full", "mixed_reduced")) {
  m <- fit(if (name == "mixed_full") list(trial_id = pdSymm(~ 0 + t + s + sz + tz)) else
             list(trial_id = pdSymm(~ 0 + sz + tz)))
  D <- getVarCov(m)
  D <- matrix(as.numeric(D), nrow(D), dimnames = dimnames(D))
  p <- if (name == "mixed_full") c("s", "sz") else "sz"
  g <- solve(D[p, p], D[p, "tz"])
  put(paste0(name, ".mean"), c("s", "t", "sz", "tz"), fixef(m), 1e-4, same)
  put(paste0(name, ".D"), c("aa", "ab", "bb"), c(D["sz", "sz"], D["sz", "tz"], D["tz", "tz"]),
      3e-3, same)
  put(paste0(name, ".r2"), "r2", sum(g * D[p, "tz"]) / D["tz", "tz"], 3e-3, same)
  put(paste0(name, ".slope"), "slope", tail(g, 1), 3e-3, same)
}
trials <- sort(unique(d$trial_id))
e <- t(sapply(trials, function(i) {
  x <- d[d$trial_id == i, ]; x$u <- x$z + 0.5
  c(coef(lm(slope ~ u, x)), coef(lm(worsening ~ u, x)), nrow(x))
}))
exact <- "least squares"
put("effect.slope", trials, e[, 2], 1e-9, exact)
put("effect.worsening", trials, e[, 4], 1e-9, exact)
reduced <- lm(e[, 4] ~ e[, 2], weights = e[, 5])
full <- lm(e[, 4] ~ e[, 2] + e[, 1], weights = e[, 5])
put("reduced.r2", "r2", summary(reduced)$r.squared, 1e-9, exact)
put("reduced.slope", "slope", coef(reduced)[2], 1e-9, exact)
put("full.r2", "r2", summary(full)$r.squared, 1e-9, exact)
put("full.slope", "slope", coef(full)[2], 1e-9, exact)
r <- cbind(resid(lm(slope ~ trial_id * arm, d)), resid(lm(worsening ~ trial_id * arm, d)))
put("r2_individual", "r2", cor(r)[1, 2]^2, 1e-9, exact)
write.csv(out, "expected.csv", row.names = FALSE)
