# What follows from a fit: prediction errors, residuals, likelihood ratios, subjects left out.
source("../lmm_tools.R")
suppressMessages({library(nlme); library(glmmTMB); library(Matrix)})
d <- read.csv("input.csv")
d$arm <- factor(d$arm, levels = c("placebo", "active")); d$subject_id <- factor(d$subject_id)
fixed <- c("Intercept", "year", "arm[T.active]", "age_years", "year:arm[T.active]")
both <- c("intercept", "year")
WHY <- c(WHY,
  condvar = "follows the variance components; relative to the largest of the same effect",
  pev = "TMB's own optimum of the same likelihood; relative to the largest of the same effect",
  predicted = "a combination of the estimates",
  predicted_se = "as for pev", lr = "a difference of two maxima, each flat",
  p_value = "a tail: changes by half of the statistic's absolute error",
  distance = "follows the variance components",
  kept = "a refit by lme4; relative to the largest of the same kind")
RTOL <- c(RTOL, condvar = 1e-5, pev = 1e-4, predicted = 1e-6, predicted_se = 1e-4, lr = 1e-6, p_value = 1e-3,
          distance = 1e-5, kept = 1e-5)
one <- function(quantity, term, value, kind = quantity) row_of("reml", quantity, term, value, kind)

formula <- thalamus_ml ~ year * arm + age_years + (year | subject_id)
fit <- lmer(formula, d, control = TIGHT)
ids <- levels(d$subject_id)

# 1. conditional variances of the random effects
post <- attr(ranef(fit, condVar = TRUE)[[1]], "postVar")
rows <- list()
for (i in seq_along(ids)) rows[[i]] <- one("condvar",
  paste(ids[i], c("intercept", "intercept", "year"), c("intercept", "year", "year"), sep = " | "),
  c(post[1, 1, i], post[1, 2, i], post[2, 2, i]))
condvar <- do.call(rbind, rows)

# 2. prediction-error variances: inverse of TMB's Hessian in fixed and random effects together
tmb <- glmmTMB(formula, d, REML = TRUE,
               control = glmmTMBControl(optCtrl = list(iter.max = 1e4, eval.max = 1e4, rel.tol = 1e-12)))
par <- tmb$obj$env$last.par.best
H <- tmb$obj$env$spHess(par, random = TRUE)
C <- as.matrix(solve(H))
at <- names(par)[tmb$obj$env$random]
beta <- which(at == "beta"); b <- which(at == "b")
stopifnot(abs(as.numeric(logLik(tmb) - logLik(fit))) < 1e-8)  # whatever its optimiser says
stopifnot(length(b) == 2 * length(ids), length(beta) == 5)
blocks <- matrix(b, nrow = 2)  # intercept and slope of each subject in turn
pev <- do.call(rbind, lapply(seq_along(ids), function(i) {
  P <- C[blocks[, i], blocks[, i]]
  one("pev", paste(ids[i], c("intercept", "intercept", "year"), c("intercept", "year", "year"), sep = " | "),
      c(P[1, 1], P[1, 2], P[2, 2])) }))

# 3. conditional and marginal predictions
new <- data.frame(subject_id = factor(c("S00", "S03", "S03", "S17"), levels = ids), year = c(0, 2, 5, 1.5))
who <- match(as.character(new$subject_id), as.character(d$subject_id))
new$arm <- d$arm[who]; new$age_years <- d$age_years[who]
label <- paste(new$subject_id, new$year, sep = " | ")
X <- model.matrix(~ year * arm + age_years, new)[, names(fixef(fit))]
se <- sapply(seq_len(nrow(new)), function(k) {
  w <- numeric(length(at)); w[beta] <- X[k, names(fixef(tmb)$cond)]
  w[blocks[, as.integer(new$subject_id[k])]] <- c(1, new$year[k]); sqrt(sum(w * (C %*% w))) })
predictions <- rbind(
  one("predicted", label, predict(fit, new)),
  one("predicted_marginal", label, predict(fit, new, re.form = NA), "predicted"),
  one("predicted_se", label, se))

# 4. likelihood ratios
smaller <- update(fit, . ~ . - (year | subject_id) + (1 | subject_id))
apart <- update(fit, . ~ . - (year | subject_id) + (1 | subject_id) + (0 + year | subject_id))
none <- gls(thalamus_ml ~ year * arm + age_years, d, method = "REML")
ratio <- function(a, b) 2 * (as.numeric(logLik(a)) - as.numeric(logLik(b)))
ml <- lmer(formula, d, REML = FALSE, control = TIGHT)
ml0 <- lmer(update(formula, . ~ . - year:arm), d, REML = FALSE, control = TIGHT)
test <- anova(ml0, ml)
ratios <- rbind(
  one("lr", c("slope", "correlation", "uncorrelated slope", "intercept"),
      c(ratio(fit, smaller), ratio(fit, apart), ratio(apart, smaller), ratio(smaller, none))),
  one("lr", "naive p of slope", ranova(fit)[2, "Pr(>Chisq)"], "p_value"),
  one("lr", "interaction by ML", test[2, "Chisq"]),
  one("lr", "p of interaction", test[2, "Pr(>Chisq)"], "p_value"))

# 5. squared distances: normalized residuals of the same marginal model
compound <- gls(thalamus_ml ~ year * arm + age_years, d, correlation = corCompSymm(form = ~ 1 | subject_id),
                control = glsControl(tolerance = 1e-12, msTol = 1e-12))
z <- residuals(compound, type = "normalized")
distance <- one("distance", ids, as.numeric(tapply(z^2, d$subject_id, sum)))
lme <- lme(thalamus_ml ~ year * arm + age_years, d, random = ~ 1 | subject_id,
           control = lmeControl(msTol = 1e-12, tolerance = 1e-10))
kinds <- rbind(
  one("marginal", seq_len(nrow(d)), resid(lme, level = 0), "distance"),
  one("conditional", seq_len(nrow(d)), resid(lme, level = 1), "distance"),
  one("pearson", seq_len(nrow(d)), resid(lme, level = 1, type = "pearson"), "distance"))

# 6. every subject left out: a refit, and generalised least squares with the variances kept
V <- function(rows) { Z <- cbind(1, d$year[rows]); s <- d$subject_id[rows]
  sigma(fit)^2 * diag(length(rows)) + (Z %*% VarCorr(fit)$subject_id %*% t(Z)) * outer(s, s, "==") }
Xall <- getME(fit, "X")
left_out <- do.call(rbind, lapply(ids, function(id) {
  rows <- which(d$subject_id != id)
  W <- solve(V(rows)); Xr <- Xall[rows, ]
  kept <- solve(t(Xr) %*% W %*% Xr, t(Xr) %*% W %*% d$thalamus_ml[rows])
  again <- lmer(formula, droplevels(d[rows, ]), control = TIGHT)
  parts <- c(diag(VarCorr(again)$subject_id), sigma(again)^2)
  rbind(one("without", paste(id, fixed, sep = " | "), kept, "kept"),
        one("without_refit", paste(id, fixed, sep = " | "), fixef(again), "kept"),
        one("variance_refit", paste(id, c(both, "residual"), sep = " | "), parts, "kept")) }))
write_expected(condvar, pev, predictions, ratios, distance, kinds, left_out)
cat(R.version.string, "\n")
for (p in c("lme4", "lmerTest", "nlme", "glmmTMB", "TMB", "Matrix")) cat(p, as.character(packageVersion(p)), "\n")
