# Imputation under strategies: an independent implementation from the papers, subject by subject.
# Carpenter, Roger, Kenward (2013) for the joint distributions; Schafer (1997) for the posterior;
# Wolbers et al. (2022) for conditional means with the jackknife.  Rscript make.R
suppressMessages({library(nlme); library(MASS)})
set.seed(20261123)
options(digits = 15)
d <- read.csv("input.csv", na.strings = c("NA", ""))
V <- unique(d$visit); T <- length(V); ids <- unique(d$subject_id); n <- length(ids)
d$t <- match(d$visit, V)
one <- d[d$t == 1, ]
act <- one$arm == "active"
Y <- matrix(d$change[order(match(d$subject_id, ids), d$t)], n, T, byrow = TRUE)
ev <- match(one$first_affected, V); ev[is.na(ev)] <- T + 1
base <- one$base - mean(one$base)
Z <- cbind(ref = 1 * !act, act = 1 * act, base = base)
keptfor <- function(s) { M <- Y; if (s != "MAR") for (i in 1:n) if (ev[i] <= T) M[i, ev[i]:T] <- NA; M }
STRAT <- c("MAR", "JR", "CR", "CIR", "LMCF")

# Joint law of one subject: own and reference mean and covariance, e = first visit after the event.
joint <- function(s, m1, m0, S1, S0, e) {
  if (s == "MAR" || e > T) return(list(m = m1, S = S1))
  if (s == "CR") return(list(m = m0, S = S0))
  m <- m1; post <- e:T; pre <- seq_len(e - 1)
  if (s == "JR") m[post] <- m0[post]
  if (s == "CIR") m[post] <- m1[e - 1] + m0[post] - m0[e - 1]
  if (s == "LMCF") { m[post] <- m1[e - 1]; return(list(m = m, S = S1)) }
  # regression of post on pre as in the reference arm, pre as in the own arm
  b <- S0[post, pre, drop = FALSE] %*% solve(S0[pre, pre, drop = FALSE])
  S <- matrix(0, T, T)
  S[pre, pre] <- S1[pre, pre]
  S[post, pre] <- b %*% S1[pre, pre, drop = FALSE]; S[pre, post] <- t(S[post, pre])
  cond <- S0[post, post, drop = FALSE] - b %*% S0[pre, post, drop = FALSE]
  S[post, post] <- cond + b %*% S1[pre, pre, drop = FALSE] %*% t(b)
  list(m = m, S = S)
}
complete <- function(s, B, S0, S1, random, z = Z) {
  out <- Y
  for (i in which(rowSums(is.na(Y)) > 0)) {
    z1 <- z[i, ]; z0 <- z1; z0[1:2] <- c(1, 0)
    own <- if (act[i]) S1 else S0
    j <- joint(s, drop(z1 %*% B), drop(z0 %*% B), own, S0, ev[i])
    g <- is.na(Y[i, ])
    K <- j$S[g, !g, drop = FALSE] %*% solve(j$S[!g, !g, drop = FALSE])
    mean <- j$m[g] + drop(K %*% (Y[i, !g] - j$m[!g]))
    cov <- j$S[g, g, drop = FALSE] - K %*% j$S[!g, g, drop = FALSE]
    out[i, g] <- if (random) mvrnorm(1, mean, cov) else mean
  }
  out
}
ancova <- function(C, adjust = TRUE, use = rep(TRUE, n)) sapply(1:T, function(t) {
  f <- if (adjust) lm(C[use, t] ~ act[use] + base[use]) else lm(C[use, t] ~ act[use])
  summary(f)$coefficients[2, 1:2] })
long <- function(M, use = rep(TRUE, n)) {
  l <- data.frame(y = as.vector(t(M)), t = rep(1:T, n), id = rep(1:n, each = T))
  l$act <- act[l$id]; l$base <- base[l$id]; l$v <- factor(l$t); l$a <- factor(l$act)
  l[!is.na(l$y) & use[l$id], ]
}
TIGHT <- glsControl(maxIter = 1000, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12)
us <- function(f, l) gls(f, l, corSymm(form = ~ t | id), varIdent(form = ~ 1 | v), method = "REML", control = TIGHT)
sigma_of <- function(m, l) {
  # getVarCov needs a subject with all visits
  full <- names(which(table(l$id) == T))[1]
  S <- unclass(getVarCov(m, individual = full)); attr(S, "group.levels") <- NULL; dimnames(S) <- NULL
  S[1:T, 1:T]
}
fit_common <- function(M, use = rep(TRUE, n)) {
  l <- long(M, use); m <- us(y ~ 0 + v:a + v:base, l); b <- coef(m)
  B <- rbind(b[paste0("v", 1:T, ":aFALSE")], b[paste0("v", 1:T, ":aTRUE")], b[paste0("v", 1:T, ":base")])
  list(B = unname(B), S = sigma_of(m, l))
}
rows <- list()
add <- function(q, term, value, rtol, why)
  rows[[length(rows) + 1]] <<- data.frame(quantity = q, term = term, value = sprintf("%.12g", value), rtol = sprintf("%.3g", rtol), why = why)

GLS <- "same restricted likelihood; gls stops some 1e-5 from the maximum"
fits <- list(); jack <- list()
for (s in STRAT) {
  M <- keptfor(s); key <- if (s == "MAR") "MAR" else "other"
  if (is.null(fits[[key]])) {
    fits[[key]] <- fit_common(M)
    jack[[key]] <- lapply(1:n, function(i) fit_common(M, (1:n) != i))
  }
  f <- fits[[key]]
  est <- ancova(complete(s, f$B, f$S, f$S, FALSE))[1, ]
  reps <- sapply(1:n, function(i) { g <- jack[[key]][[i]]
    ancova(complete(s, g$B, g$S, g$S, FALSE), use = (1:n) != i)[1, ] })
  se <- sqrt((n - 1) / n * rowSums((reps - rowMeans(reps))^2))
  for (t in 1:T) {
    add(paste0("conditional.", s, ".estimate"), V[t], est[t], 2e-4, GLS)
    add(paste0("conditional.", s, ".std_error"), V[t], se[t], 1e-3, "jackknife of fits by gls, whose errors add up")
  }
  cat("conditional", s, "\n")
}
# A covariance per arm: without covariates the arms are separate models.
for (s in c("JR", "CR", "CIR")) {
  M <- keptfor(s); l <- long(M)
  by <- lapply(c(FALSE, TRUE), function(a) { k <- l[l$act == a, ]; m <- us(y ~ 0 + v, k)
    list(b = unname(coef(m)), S = sigma_of(m, k)) })
  B <- rbind(by[[1]]$b, by[[2]]$b)
  est <- ancova(complete(s, B, by[[1]]$S, by[[2]]$S, FALSE, Z[, 1:2]), adjust = FALSE)[1, ]
  for (t in 1:T) add(paste0("by_arm.", s, ".estimate"), V[t], est[t], 5e-4, GLS)
}
# Posterior by data augmentation: one long chain, flat prior for effects, |S|^-(T+1)/2 for S.
ITER <- 4000; THIN <- 4; BURN <- 400
chain <- function(M, f) {
  B <- f$B; S <- f$S; keep <- vector("list", ITER); ZZi <- solve(crossprod(Z))
  pat <- split(1:n, apply(is.na(M), 1, paste, collapse = ""))
  for (k in seq_len(BURN + ITER * THIN)) {
    C <- M
    for (p in pat) { g <- is.na(M[p[1], ]); if (!any(g)) next
      mu <- Z[p, , drop = FALSE] %*% B
      K <- S[g, !g, drop = FALSE] %*% solve(S[!g, !g, drop = FALSE])
      cov <- S[g, g, drop = FALSE] - K %*% S[!g, g, drop = FALSE]
      e <- matrix(rnorm(length(p) * sum(g)), length(p)) %*% chol(cov)
      C[p, g] <- mu[, g, drop = FALSE] + (M[p, !g, drop = FALSE] - mu[, !g, drop = FALSE]) %*% t(K) + e }
    Bh <- ZZi %*% crossprod(Z, C); E <- crossprod(C - Z %*% Bh)
    S <- solve(rWishart(1, n - ncol(Z), solve(E))[, , 1])  # effects integrated out
    B <- Bh + t(chol(ZZi)) %*% matrix(rnorm(ncol(Z) * T), ncol(Z)) %*% chol(S)
    if (k > BURN && (k - BURN) %% THIN == 0) keep[[(k - BURN) / THIN]] <- list(B = B, S = S)
  }
  keep
}
draws <- list(MAR = chain(keptfor("MAR"), fits$MAR), other = chain(keptfor("JR"), fits$other))
fast <- function(C) { X <- cbind(1, act, base); xi <- solve(crossprod(X)); b <- xi %*% crossprod(X, C)
  s2 <- colSums((C - X %*% b)^2) / (n - 3); rbind(b[2, ], s2 * xi[2, 2]) }
for (s in STRAT) {
  got <- sapply(draws[[if (s == "MAR") "MAR" else "other"]], function(g) fast(complete(s, g$B, g$S, g$S, TRUE)))
  Q <- got[2 * (1:T) - 1, ]; U <- got[2 * (1:T), ]
  m <- ncol(Q); q <- rowMeans(Q); W <- rowMeans(U); Bt <- apply(Q, 1, var); Tt <- W + (1 + 1 / m) * Bt
  lam <- (1 + 1 / m) * Bt / Tt; nu <- n - 3
  df <- 1 / (lam^2 / (m - 1) + 1 / ((nu + 1) / (nu + 3) * nu * (1 - lam)))
  # tolerances for a second run of 2000 independent imputations
  for (t in 2:T) {
    add(paste0("bayes.", s, ".estimate"), V[t], q[t], 4 * sqrt(Bt[t] * (1.5 / m + 1 / 2000)) / abs(q[t]), "4 Monte Carlo errors of both runs")
    rel <- 4 * sqrt(2 * (1.5 / m + 1 / 2000)) * lam[t]
    add(paste0("bayes.", s, ".std_error"), V[t], sqrt(Tt[t]), max(rel / 2, 2e-3), "4 Monte Carlo errors of the variance between imputations, and of that within")
    add(paste0("bayes.", s, ".df"), V[t], df[t], max(rel, 5e-3), "as the share of the variance between imputations")
  }
  cat("bayes", s, "\n")
}
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, quote = 5)
cat(R.version.string, "nlme", as.character(packageVersion("nlme")), "MASS", as.character(packageVersion("MASS")), "\n")
