# Performance measures of a simulation study and their Monte Carlo standard errors, in base R.
# Usage: Rscript make.R   (in this folder; writes input.csv and expected.csv)
options(digits = 15)
set.seed(20261123)
n <- 240
truth <- -0.35
scale <- exp(rnorm(n, 0, 0.15))
input <- data.frame(
  replicate = seq_len(n) - 1,
  estimate = round(truth + 0.03 + 0.2 * rt(n, df = 8), 6),
  std_error = round(0.21 * scale, 6)
)
input$conf_low <- round(input$estimate - 1.96 * input$std_error, 6)
input$conf_high <- round(input$estimate + 1.96 * input$std_error, 6)
write.csv(input, "input.csv", row.names = FALSE)

x <- read.csv("input.csv")
rows <- list()
add <- function(quantity, value, mcse, why) {
  rows[[length(rows) + 1]] <<- data.frame(quantity = quantity, term = "value", value = value,
                                          rtol = 1e-9, why = why)
  rows[[length(rows) + 1]] <<- data.frame(quantity = quantity, term = "mcse", value = mcse,
                                          rtol = 1e-9, why = why)
}
# Standard error of a mean: that of an intercept.
se_of_mean <- function(v) unname(coef(summary(lm(v ~ 1)))[1, "Std. Error"])
add("bias", mean(x$estimate - truth), se_of_mean(x$estimate - truth), "intercept of lm")
add("relative_bias", mean(x$estimate / truth - 1), se_of_mean(x$estimate / truth - 1),
    "intercept of lm")
add("mse", mean((x$estimate - truth)^2), se_of_mean((x$estimate - truth)^2), "intercept of lm")
# A share's standard error at its maximum likelihood: glm with identity link.
share <- function(hit) {
  fit <- glm(hit ~ 1, family = binomial(link = "identity"), start = mean(hit))
  c(unname(coef(fit)), unname(coef(summary(fit))[1, "Std. Error"]))
}
covered <- share(as.numeric(x$conf_low <= truth & truth <= x$conf_high))
centred <- share(as.numeric(x$conf_low <= mean(x$estimate) & mean(x$estimate) <= x$conf_high))
add("coverage", covered[1], covered[2], "binomial glm, identity link")
add("bias_eliminated_coverage", centred[1], centred[2], "binomial glm, identity link")
# Delta method on moments: sd of normal estimates, root of a mean, and their independent ratio.
empirical <- sd(x$estimate)
relative_empirical <- sqrt(1 / (2 * (n - 1)))
model <- sqrt(mean(x$std_error^2))
relative_model <- se_of_mean(x$std_error^2) / mean(x$std_error^2) / 2
add("empirical_se", empirical, empirical * relative_empirical, "delta method, normal estimates")
add("model_se", model, model * relative_model, "delta method")
add("model_se_relative_error", model / empirical - 1,
    model / empirical * sqrt(relative_model^2 + relative_empirical^2), "delta method of a ratio")
write.csv(do.call(rbind, rows), "expected.csv", row.names = FALSE)
