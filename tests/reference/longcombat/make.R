# Longitudinal ComBat written from the paper (Beer et al. 2020, NeuroImage 220:117129, section 2.2;
# priors of Johnson et al. 2007, Biostatistics 8:118-127, section 3.2), with lme4 for the mixed model.
suppressMessages(library(lme4)); options(digits = 17)
if (!file.exists("input.csv")) {
  set.seed(2020)
  n <- 60; visits <- 5
  id <- rep(seq_len(n), each = visits); year <- rep(seq(0, 2, 0.5), n) + round(rnorm(n * visits, 0, 0.02), 3)
  arm <- ifelse(id %% 2 == 0, "active", "placebo"); age <- round(rnorm(n, 48, 9), 1)[id]
  change <- sample(1:7, n, replace = TRUE)[id]; site <- sample(1:2, n, replace = TRUE)[id]
  k <- rep(seq_len(visits), n)
  scanner <- ifelse(site == 1, ifelse(k >= change, "B", "A"), ifelse(k >= change, "D", "C"))
  d <- data.frame(subject_id = sprintf("S%02d", id), year, arm, age_years = age, scanner_id = scanner)
  number <- match(scanner, LETTERS)
  for (v in 1:6) {
    gamma <- c(-0.5, 0.8, 0.1, -0.4) + rnorm(4, 0, 0.2)
    delta <- c(0.8, 1.3, 1, 0.9) * exp(rnorm(4, 0, 0.15))
    level <- 10 + rnorm(n, 0, 1.5)[id] + rnorm(n, 0, 0.2)[id] * year - 0.2 * year - 0.02 * age
    d[[paste0("feature", v)]] <- round(level + 0.1 * year * (arm == "active") + gamma[number] +
                                         0.4 * delta[number] * rnorm(n * visits), 4)
  }
  d <- d[runif(nrow(d)) > 0.1, ]
  write.csv(d, "input.csv", row.names = FALSE, quote = FALSE)
}
d <- read.csv("input.csv"); d$arm <- factor(d$arm, c("placebo", "active")); d$scanner_id <- factor(d$scanner_id)
features <- paste0("feature", 1:6)
TIGHT <- lmerControl(optimizer = "nloptwrap", optCtrl = list(
  xtol_abs = 1e-11, xtol_rel = 1e-11, ftol_abs = 1e-13, ftol_rel = 1e-15, maxeval = 1e5))
WHY <- "the mixed models agree to about 1e-7; R iterates the two equations of the priors 500 times"
out <- list()
put <- function(quantity, term, value, rtol = 1e-5)
  out[[length(out) + 1]] <<- data.frame(quantity, term, value = sprintf("%.15g", value), rtol, why = WHY)

combat <- function(model, random, scale) {
  scanners <- levels(d$scanner_id); n <- as.numeric(table(d$scanner_id)); S <- length(n)
  z <- list(); keep <- list(); sigma <- numeric(0)
  for (v in features) {
    fit <- lmer(as.formula(paste(v, "~ year * arm + age_years + scanner_id +", random)), d, control = TIGHT)
    b <- fixef(fit)
    effect <- c(0, b[paste0("scanner_id", scanners[-1])])
    effect <- effect - sum(n * effect) / sum(n)              # constraint: sum_i n_i gamma_i = 0
    residual <- d[[v]] - fitted(fit)                          # conditional on the random effects
    s <- if (scale == "REML") sigma(fit) else sqrt(mean((residual - mean(residual))^2))
    at <- effect[as.integer(d$scanner_id)]
    z[[v]] <- (residual + at) / s; keep[[v]] <- d[[v]] - s * z[[v]]; sigma[v] <- s
  }
  g <- sapply(z, function(x) tapply(x, d$scanner_id, mean))
  d2 <- sapply(z, function(x) tapply(x, d$scanner_id, var))
  gbar <- rowMeans(g); tau2 <- apply(g, 1, var)
  m <- rowMeans(d2); s2 <- apply(d2, 1, var)
  lambda <- m^2 / s2 + 2; theta <- m * (lambda - 1)           # moments of the inverse gamma
  gs <- g; ds <- d2
  for (turn in 1:500) {
    gs <- (n * tau2 * g + ds * gbar) / (n * tau2 + ds)
    squares <- sapply(features, function(v) tapply((z[[v]] - gs[as.integer(d$scanner_id), v])^2, d$scanner_id, sum))
    ds <- (theta + squares / 2) / (lambda + n / 2 - 1)
  }
  for (v in features) {
    i <- as.integer(d$scanner_id)
    harmonised <- keep[[v]] + sigma[v] / sqrt(ds[i, v]) * (z[[v]] - gs[i, v])
    rows <- seq(1, nrow(d), by = 7)
    put(paste0(model, ".value"), paste(v, rows, sep = " | "), harmonised[rows], 1e-6)
    put(paste0(model, ".gamma"), paste(v, scanners, sep = " | "), g[, v])
    put(paste0(model, ".delta"), paste(v, scanners, sep = " | "), sqrt(d2[, v]))
    put(paste0(model, ".gamma_star"), paste(v, scanners, sep = " | "), gs[, v])
    put(paste0(model, ".delta_star"), paste(v, scanners, sep = " | "), sqrt(ds[, v]))
  }
}
combat("intercept", "(1 | subject_id)", "REML")
combat("slope", "(year | subject_id)", "REML")
combat("msr", "(1 | subject_id)", "MSR")
write.csv(do.call(rbind, out), "expected.csv", row.names = FALSE, quote = TRUE)
