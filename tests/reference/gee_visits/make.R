# Estimating equations by geepack: three responses, three working correlations.
suppressMessages(library(geepack))
d <- read.csv("input.csv"); d$arm <- factor(d$arm, levels = c("placebo", "active"))
d$id <- as.integer(factor(d$subject_id)); d <- d[order(d$id, d$visit), ]
families <- list(gaussian = gaussian(), binomial = binomial(), poisson = poisson())
outcomes <- c(gaussian = "sdmt", binomial = "relapsed", poisson = "new_lesions")
tight <- geese.control(epsilon = 1e-12, maxit = 200)
parts <- list()
for (f in names(families)) for (corstr in c("independence", "exchangeable", "ar1")) {
  form <- as.formula(paste(outcomes[[f]], "~ visit + visit:arm"))
  fit <- geeglm(form, id = id, waves = visit + 1, data = d, family = families[[f]], corstr = corstr,
                control = tight)
  terms <- sub("(Intercept)", "Intercept", sub("armactive", "arm[T.active]", names(coef(fit))), fixed = TRUE)
  terms <- sub("armplacebo", "arm[placebo]", terms)
  id <- paste(f, corstr, sep = "."); alpha <- fit$geese$alpha
  parts <- c(parts, list(
    data.frame(quantity = paste0(id, ".estimate"), term = terms, value = coef(fit), rtol = 1e-6, why = "same equations, both iterated until nothing moves"),
    data.frame(quantity = paste0(id, ".cr0"), term = terms, value = sqrt(diag(fit$geese$vbeta)), rtol = 1e-6, why = "sandwich"),
    data.frame(quantity = paste0(id, ".model"), term = terms, value = sqrt(diag(fit$geese$vbeta.naiv)), rtol = 1e-6, why = "working covariance"),
    data.frame(quantity = paste0(id, ".scale"), term = "phi", value = fit$geese$gamma, rtol = 1e-6, why = "mean squared Pearson residual")))
  if (length(alpha)) parts <- c(parts, list(
    data.frame(quantity = paste0(id, ".correlation"), term = "alpha", value = as.numeric(alpha), rtol = 1e-5, why = "moment equation")))
}
write.csv(do.call(rbind, parts), "expected.csv", row.names = FALSE)
