mod cast;
mod schema;
mod slices;
mod standings;
