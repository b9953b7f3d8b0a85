# What the lmm_* cases with several grouping factors share: values per factor, Kenward-Roger parts.
source("../lmm_tools.R")
suppressMessages(library(pbkrtest))
WHY <- c(WHY,
  kr_std_error = "adjusted covariance of Kenward and Roger (pbkrtest::vcovAdj)",
  kr_df = "Kenward-Roger degrees of freedom of one coefficient (pbkrtest::get_Lb_ddf)")
RTOL <- c(RTOL, kr_std_error = 1e-6, kr_df = 1e-4)
# numDeriv's Hessian in lmerTest carries three to four digits where a variance is badly determined.
RTOL[["df"]] <- 1e-2

# groups: named vector, R's name of each grouping factor -> the name that pmsstats gives it
# effects: names of the random effects as R and as pmsstats spell them
# lme4 writes the levels of (1 | a / b) as b:a, pmsstats as a:b.
level_names <- function(group, name, levels)
  if (group == name) levels else sub("^(.*):(.*)$", "\\2:\\1", levels)

grouped_values <- function(model, fit, names, groups, effects, kr = fit) {
  V <- as.matrix(vcov(fit)); lower <- lower.tri(V, diag = TRUE)
  rows <- list(
    row_of(model, "estimate", names, fixef(fit)),
    row_of(model, "std_error", names, sqrt(diag(V))),
    row_of(model, "df", names, coef(summary(fit))[, "df"]),
    row_of(model, "vcov", outer(names, names, paste, sep = " | ")[lower], V[lower]),
    row_of(model, "residual_sd", "residual", sigma(fit)),
    row_of(model, "log_likelihood", "model", as.numeric(logLik(fit))))
  parts <- as.data.frame(VarCorr(fit)); parts <- parts[parts$grp != "Residual", ]
  second <- ifelse(is.na(parts$var2), parts$var1, parts$var2)
  where <- groups[sub("\\.[0-9]+$", "", parts$grp)]
  rows <- c(rows, list(row_of(model, "variance",
    paste(where, effects[parts$var1], effects[second], sep = " | "), parts$vcov)))
  modes <- ranef(fit, condVar = FALSE)
  for (g in names(modes)) for (e in names(modes[[g]]))
    rows <- c(rows, list(row_of(model, "blup",
      paste(groups[g], level_names(g, groups[[g]], rownames(modes[[g]])), effects[e], sep = " | "), modes[[g]][[e]])))
  if (!is.null(kr)) {
    p <- length(names); A <- as.matrix(vcovAdj(kr))
    df <- sapply(seq_len(p), function(j) get_Lb_ddf(kr, as.numeric(seq_len(p) == j)))
    rows <- c(rows, list(row_of(model, "kr_std_error", names, sqrt(diag(A))),
                         row_of(model, "kr_df", names, df)))
  }
  do.call(rbind, rows)
}
