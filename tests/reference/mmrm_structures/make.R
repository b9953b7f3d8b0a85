# Covariances of repeated measures, on the FEV trial. Usage: Rscript make.R path/to/fev.csv
suppressMessages({library(nlme); library(glmmTMB); library(clubSandwich)})
options(digits = 17)
d <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = TRUE)
d <- d[!is.na(d$FEV1), ]
d$USUBJID <- factor(d$USUBJID, levels = unique(d$USUBJID))
d$inverse <- 1 / d$WEIGHT
counts <- table(d$USUBJID)
complete <- names(counts)[counts == 4][1]

WHY <- c(
  log_likelihood = "flat at its maximum: errors of the parameters enter squared",
  estimate = "in standard errors; follow the covariance, which gls finds to about 1e-5",
  std_error = "follow the covariance, which gls finds to about 1e-5",
  covariance = "gls stops at a relative change of the likelihood; relative to the largest entry",
  glmmTMB_log_likelihood = "glmmTMB adds a small residual variance; REML by Laplace's method",
  sandwich = "same formula; both at parameters found to about 1e-7",
  sandwich_us = "same formula; gls finds the parameters of us to about 1e-5 only",
  sandwich_df = "same formula, squares of it")
RTOL <- c(log_likelihood = 1e-9, estimate = 1e-4, std_error = 3e-5, covariance = 5e-5,
          glmmTMB_log_likelihood = 5e-8, sandwich = 1e-6, sandwich_us = 1e-5, sandwich_df = 2e-5)
row_of <- function(model, quantity, term, value, kind = quantity)
  data.frame(quantity = paste(model, quantity, sep = "."), term = term,
             value = sprintf("%.15g", value), rtol = RTOL[[kind]], why = WHY[[kind]])

FULL <- FEV1 ~ RACE + SEX + ARMCD * AVISIT
TIGHT <- glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-12, msTol = 1e-14,
                    opt = "nlminb")
fit <- function(correlation, weights = NULL, method = "REML", formula = FULL, data = d) {
  f <- gls(formula, data, correlation, weights, method = method, control = TIGHT)
  f$call$model <- formula; f$call$data <- quote(d)  # clubSandwich looks into the call
  f
}
BY_VISIT <- varIdent(form = ~ 1 | AVISIT)
AT <- ~ VISITN | USUBJID
STRUCTURES <- list(
  us = list(corSymm(form = AT), BY_VISIT),
  toep = list(corARMA(c(0.4, 0.1, 0.05), form = AT, p = 3), NULL),
  toeph = list(corARMA(c(0.4, 0.1, 0.05), form = AT, p = 3), BY_VISIT),
  ar1 = list(corAR1(form = AT), NULL),
  ar1h = list(corAR1(form = AT), BY_VISIT),
  cs = list(corCompSymm(form = ~ 1 | USUBJID), NULL),
  csh = list(corCompSymm(form = ~ 1 | USUBJID), BY_VISIT),
  sp_exp = list(corExp(form = ~ VISITN2 | USUBJID), NULL))

covariance_of <- function(model, f) {
  if (grepl("sp_exp", model)) {
    range <- coef(f$modelStruct$corStruct, unconstrained = FALSE)
    return(row_of(model, "covariance", c("variance", "range"), c(sigma(f)^2, range)))
  }
  V <- getVarCov(f, individual = complete)
  at <- lower.tri(V, diag = TRUE)
  row_of(model, "covariance", paste(row(V)[at], col(V)[at], sep = ","), V[at])
}
values_of <- function(model, f) {
  names <- names(coef(f))
  rbind(row_of(model, "log_likelihood", "model", as.numeric(logLik(f))),
        row_of(model, "estimate", names, coef(f)),
        if (f$method == "REML")  # by ML, nlme multiplies them by sqrt(n / (n - p))
          row_of(model, "std_error", names, sqrt(diag(f$varBeta))),
        covariance_of(model, f))
}
sandwich_of <- function(model, f) {
  rows <- list()
  for (type in c("CR0", "CR2", "CR3")) {
    V <- vcovCR(f, cluster = d$USUBJID, type = type)
    test <- coef_test(f, V, test = "Satterthwaite")
    joint <- Wald_test(f, constrain_zero(9:11), V, test = "HTZ")
    key <- paste(model, type, sep = ".")
    names <- names(coef(f))
    rows <- c(rows, list(
      row_of(key, "std_error", names, sqrt(diag(as.matrix(V))),
             if (model == "sandwich.us") "sandwich_us" else "sandwich"),
      row_of(key, "df", names, test$df, "sandwich_df"),
      row_of(key, "f", c("statistic", "df_denominator"), c(joint$Fstat, joint$df_denom),
             "sandwich_df")))
  }
  do.call(rbind, rows)
}

rows <- list()
for (method in c("REML", "ML")) for (name in names(STRUCTURES)) {
  f <- fit(STRUCTURES[[name]][[1]], STRUCTURES[[name]][[2]], method)
  rows <- c(rows, list(values_of(paste(tolower(method), name, sep = "."), f)))
}

# Weights, alone and with a variance per visit
weighted <- list(
  cs = fit(corCompSymm(form = ~ 1 | USUBJID), varFixed(~ inverse)),
  us = fit(corSymm(form = AT), varComb(BY_VISIT, varFixed(~ inverse))))
for (name in names(weighted)) {
  f <- weighted[[name]]; key <- paste("weighted", name, sep = ".")
  rows <- c(rows, list(
    row_of(key, "log_likelihood", "model", as.numeric(logLik(f))),
    row_of(key, "estimate", names(coef(f)), coef(f)),
    row_of(key, "std_error", names(coef(f)), sqrt(diag(f$varBeta)))))
}

# A covariance per arm: with a mean per arm and visit the likelihood is that of two data sets
for (name in c("us", "ar1h")) {
  arms <- lapply(split(d, d$ARMCD), function(part)
    fit(STRUCTURES[[name]][[1]], STRUCTURES[[name]][[2]], formula = FEV1 ~ 0 + AVISIT,
        data = droplevels(part)))
  key <- paste("grouped", name, sep = ".")
  rows <- c(rows, list(
    row_of(key, "log_likelihood", "model", sum(sapply(arms, logLik))),
    row_of(key, "estimate", paste(rep(names(arms), each = 4), rep(1:4, 2)),
           unlist(lapply(arms, coef))),
    row_of(key, "std_error", paste(rep(names(arms), each = 4), rep(1:4, 2)),
           unlist(lapply(arms, function(f) sqrt(diag(f$varBeta)))))))
}

# Sandwich covariances
rows <- c(rows, list(
  sandwich_of("sandwich.us", fit(corSymm(form = AT), BY_VISIT)),
  sandwich_of("sandwich.cs", fit(corCompSymm(form = ~ 1 | USUBJID))),
  sandwich_of("sandwich.weighted", weighted$cs)))

# glmmTMB; its cs and toep have a variance per visit
for (reml in c(TRUE, FALSE)) for (name in c(us = "us", csh = "cs", toeph = "toep", ar1 = "ar1")) {
  formula <- update(FULL, as.formula(sprintf("~ . + %s(0 + AVISIT | USUBJID)", name)))
  f <- glmmTMB(formula, d, dispformula = ~ 0, REML = reml)
  ours <- c(us = "us", cs = "csh", toep = "toeph", ar1 = "ar1")[[name]]
  rows <- c(rows, list(row_of(paste(if (reml) "reml" else "ml", ours, sep = "."),
                              "glmmTMB_log_likelihood", "model", as.numeric(logLik(f)))))
}
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE, quote = TRUE)
