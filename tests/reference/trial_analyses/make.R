# Analyses of three replicates, one after the other; see SOURCE.md.
suppressMessages({library(nlme); library(lmerTest); library(MASS)})
d <- read.csv("input.csv")
d$year <- d$week * 7 / 365.25
d$treated1 <- as.numeric(d$arm == 1); d$treated2 <- as.numeric(d$arm == 2)
out <- NULL
add <- function(quantity, replicate, values, rtol, why)
  out <<- rbind(out, data.frame(quantity, term = paste(names(values), replicate, sep = "."),
                                value = format(unname(values), digits = 15), rtol, why))
optimum <- "optimisers stop at slightly different points"
exact <- "closed form; rounding only"
for (r in 0:2) {
  x <- d[d$replicate == r, ]
  # random slopes
  f <- lmer(volume ~ year + year:treated1 + year:treated2 + (year | subject), x, REML = TRUE,
            control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5)))
  s <- summary(f)$coefficients[c("year:treated1", "year:treated2"), ]
  add("slope", r, c(estimate1 = s[1, 1], estimate2 = s[2, 1], se1 = s[1, 2], se2 = s[2, 2]), 1e-4, optimum)
  add("slope_df", r, c(df1 = s[1, 3], df2 = s[2, 3]), 5e-3, "derivatives of the likelihood are numerical in lmerTest")
  # change at week 96
  w <- merge(x[x$week == 0, c("subject", "arm", "sex", "age", "treated1", "treated2", "volume", "walk")],
             x[x$week == 96, c("subject", "volume")], by = "subject", suffixes = c("0", "96"))
  w$change <- w$volume96 - w$volume0
  s <- summary(lm(change ~ treated1 + treated2 + volume0 + age, w))
  add("ancova", r, c(estimate1 = s$coefficients[2, 1], estimate2 = s$coefficients[3, 1],
                     se1 = s$coefficients[2, 2], se2 = s$coefficients[3, 2], df = s$df[2]), 1e-9, exact)
  for (k in 1:2) {
    t <- t.test(change ~ arm, w[w$arm %in% c(0, k), ])
    add("welch", r, setNames(c(-t$stderr * t$statistic, t$stderr, t$parameter),
                             paste0(c("estimate", "se", "df"), k)), 1e-9, exact)
  }
  # repeated measures, one mean at baseline
  y <- x[!is.na(x$volume), ]
  y$visit <- match(y$week, c(0, 24, 48, 96))
  for (k in 1:2) for (v in 2:4) y[[paste0("a", k, v)]] <- (y$arm == k) * (y$visit == v)
  g <- gls(volume ~ factor(visit) + a12 + a13 + a14 + a22 + a23 + a24, y,
           correlation = corSymm(form = ~ visit | subject), weights = varIdent(form = ~ 1 | visit),
           control = glsControl(msMaxIter = 500, msTol = 1e-12, tolerance = 1e-12, maxIter = 500))
  s <- summary(g)$tTable
  add("mmrm", r, c(estimate1 = s["a14", 1], estimate2 = s["a24", 1], se1 = s["a14", 2], se2 = s["a24", 2]), 2e-4, optimum)
  # counts
  total <- tapply(x$t2, x$subject, sum, na.rm = TRUE)
  last <- tapply(ifelse(is.na(x$t2), 0, x$year), x$subject, max)
  first <- x[x$week == 0, ]
  z <- data.frame(y = as.numeric(total[as.character(first$subject)]), time = as.numeric(last[as.character(first$subject)]), first[, c("treated1", "treated2", "age")])
  z <- z[z$time > 0, ]
  nb <- glm.nb(y ~ treated1 + treated2 + age + offset(log(time)), z, control = glm.control(epsilon = 1e-14, maxit = 200))
  s <- summary(nb)$coefficients
  add("counts", r, c(estimate1 = s[2, 1], estimate2 = s[3, 1], se1 = s[2, 2], se2 = s[3, 2]), 1e-5, optimum)
  # two outcomes together
  l <- rbind(data.frame(x[, c("subject", "year", "treated1", "treated2")], outcome = "volume", y = x$volume),
             data.frame(x[, c("subject", "year", "treated1", "treated2")], outcome = "walk", y = x$walk))
  l <- l[!is.na(l$y), ]
  l$o1 <- as.numeric(l$outcome == "volume"); l$o2 <- 1 - l$o1
  l$s1 <- l$o1 * l$year; l$s2 <- l$o2 * l$year
  j <- lme(y ~ 0 + o1 + s1 + I(s1 * treated1) + I(s1 * treated2) + o2 + s2 + I(s2 * treated1) + I(s2 * treated2),
           random = list(subject = pdSymm(~ 0 + o1 + s1 + o2 + s2)), weights = varIdent(form = ~ 1 | outcome), data = l,
           control = lmeControl(maxIter = 500, msMaxIter = 2000, niterEM = 500, opt = "nlminb", tolerance = 1e-10, msTol = 1e-11))
  b <- fixef(j); V <- j$varFix
  at <- c("I(s1 * treated1)", "I(s2 * treated1)", "I(s1 * treated2)", "I(s2 * treated2)")
  add("joint", r, c(volume1 = b[[at[1]]], walk1 = b[[at[2]]], volume2 = b[[at[3]]], walk2 = b[[at[4]]]), 1e-3, optimum)
  add("joint_se", r, c(volume1 = sqrt(V[at[1], at[1]]), walk1 = sqrt(V[at[2], at[2]]),
                       volume2 = sqrt(V[at[3], at[3]]), walk2 = sqrt(V[at[4], at[4]])), 1e-3, optimum)
  for (k in 1:2) { # O'Brien's least squares statistic, walking speed turned
    i <- at[2 * k - 1:0]; e <- c(1, -1) * b[i]; C <- V[i, i] * outer(c(1, -1), c(1, -1)); z <- e / sqrt(diag(C)); R <- cov2cor(C)
    add("joint_t", r, setNames(c(sum(z) / sqrt(sum(R)), sum(solve(R, z)) / sqrt(sum(solve(R)))), paste0(c("ols", "gls"), k)), 2e-3, optimum)
  }
  # shares: fall of more than 1 by week 96, within sex
  w <- w[!is.na(w$change), ]; w$event <- w$change < -1
  for (k in 1:2) {
    v <- w[w$arm %in% c(0, k), ]
    t <- table(factor(v$arm, c(k, 0)), factor(v$event, c(TRUE, FALSE)), v$sex)
    m <- mantelhaen.test(t)
    p <- suppressWarnings(prop.test(table(factor(v$arm, c(k, 0)), factor(v$event, c(TRUE, FALSE))), correct = FALSE))
    add("share", r, setNames(c(log(m$estimate), diff(log(m$conf.int)) / 2 / qnorm(0.975), p$statistic,
                               -diff(p$estimate), diff(p$conf.int) / 2 / qnorm(0.975)),
                             paste0(c("log_or", "se_log_or", "chi2", "difference", "se_difference"), k)), 1e-8, exact)
  }
}
write.csv(out, "expected.csv", row.names = FALSE)
cat(R.version.string, "\n"); for (p in c("nlme", "lme4", "lmerTest", "MASS")) cat(p, as.character(packageVersion(p)), "\n")
