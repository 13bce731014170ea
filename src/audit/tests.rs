mod crash;
mod merkle;
mod tamper;
