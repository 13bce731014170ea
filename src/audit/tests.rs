mod archive;
mod crash;
mod merkle;
mod tamper;
